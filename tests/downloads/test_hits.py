"""The short way of a file: the same answer as Django, one round trip, no SQL; what is unusual stays with Django."""

import os
import secrets
from pathlib import Path
from wsgiref.util import FileWrapper

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from pkgindex.accounts import services as accounts
from pkgindex.accounts.models import Token
from pkgindex.audit.record import SYSTEM
from pkgindex.blobs import store
from pkgindex.catalog import services as catalogue
from pkgindex.catalog.models import File, Index
from pkgindex.catalog.paths import file_path
from pkgindex.hits import Hits
from pkgindex.nearcache import every
from pkgindex.worker import FIELDS
from tests.support.catalogue import add_wheel
from tests.support.gateway import ask, environ_of, left_after, nobody
from throttling import plans, services
from throttling.models import Assignment, Limit, Plan

pytestmark = pytest.mark.django_db(transaction=True)
CONTENT = os.urandom(5_000)


@pytest.fixture
def django() -> WSGIHandler:
    """Django without the short way."""
    return WSGIHandler()


@pytest.fixture
def public(db) -> Index:
    """A public default index."""
    return Index.objects.create(slug="open", is_default=True, visibility="public")


@pytest.fixture
def file(public) -> File:
    """A wheel in it."""
    return add_wheel(public, extra=CONTENT)


@pytest.fixture
def limit(db):
    """Give everybody a limit."""
    plan = Plan(name="everybody")
    services.save(plan, actor="test")
    services.save(Assignment(plan=plan, subject="everyone"), actor="test")

    def add(name: str, rate: str, scopes: str = "") -> None:
        services.save(Limit(plan=plan, name=name, rate=rate, scopes=scopes), actor="test")

    return add


@pytest.fixture
def token(people) -> str:
    """The reader's token, as a header."""
    return f"Bearer {accounts.issue(SYSTEM, None, people.reader, 'ci', ['read'])[1]}"


def path_of(file: File, end: str = "") -> str:
    return "/" + file_path(file.blob_id, file.filename) + end


@pytest.mark.parametrize("end", ["", ".metadata"])
@pytest.mark.parametrize("delivery", ["direct", "accel", "proxy"])
@pytest.mark.parametrize("prefix", ["", "/blobs/"])
@pytest.mark.parametrize("limits", [False, True])
def test_same_answer_as_django(django, public, file, limit, settings, end, delivery, prefix, limits, gate):
    """Status, every header field and every byte; small files and metadata are sent from here whatever is wanted."""
    if limits:
        limit("burst", "1000/second")
        limit("bytes", "1GB/day")
    Index.objects.update(delivery=delivery)
    settings.ACCEL_REDIRECT_PREFIX = prefix
    environ = environ_of(path_of(file, end), **{"wsgi.url_scheme": "https"})
    there = ask(django, dict(environ))

    assert ask(gate(nobody), dict(environ)) == there
    assert there[0] == "200 OK"
    assert ("x-accel-redirect" in there[1]) is (bool(prefix) and not end and delivery != "direct")


def test_private_index_by_token(django, index, token, gate):
    """With a token that the process knows, and what must not be kept by others says so."""
    environ = environ_of(path_of(add_wheel(index)), HTTP_AUTHORIZATION=token)
    there = ask(django, dict(environ))

    assert ask(gate(nobody), dict(environ)) == there
    assert there[1]["cache-control"].startswith("private")


def test_the_server_gets_the_file_itself(django, file, gate):
    """So that it can use sendfile."""
    environ = environ_of(path_of(file), **{"wsgi.file_wrapper": FileWrapper})
    ask(django, dict(environ))

    answer = gate(nobody)(environ, lambda *_: None)

    assert isinstance(answer, FileWrapper)
    assert os.fstat(answer.filelike.fileno()).st_size == file.size
    answer.close()


UNUSUAL = {
    "HEAD": {"REQUEST_METHOD": "HEAD"},
    "another method": {"REQUEST_METHOD": "POST"},
    "a query": {"QUERY_STRING": "x=1"},
    "a session": {"HTTP_COOKIE": "sessionid=x"},
    "a part": {"HTTP_RANGE": "bytes=1-5"},
    "no part that there is": {"HTTP_RANGE": "bytes=9999999-"},
    "a tag": {"HTTP_IF_NONE_MATCH": "*"},
    "a date": {"HTTP_IF_MODIFIED_SINCE": "Fri, 01 Jan 2100 00:00:00 GMT"},
    "a condition": {"HTTP_IF_MATCH": '"x"'},
    "an unknown host": {"HTTP_HOST": "elsewhere.example"},
    "a wrong token": {"HTTP_AUTHORIZATION": "Bearer pkgi_wrong"},
    "an unknown file": {"PATH_INFO": f"/packages/ab/cd/{'e' * 60}/acme-1.0.tar.gz"},
    "no path of a file": {"PATH_INFO": "/packages/ab"},
    "nothing": {"PATH_INFO": "/packages/"},
    "other letters": {"PATH_INFO": f"/packages/ab/cd/{'e' * 60}/\u00e4-1.0.tar.gz"},
    "a mount point": {"SCRIPT_NAME": "/pypi"},
}


@pytest.mark.parametrize("request_", UNUSUAL)
def test_unusual_requests_are_djangos(django, file, limit, settings, request_, gate):
    """The short way gives way, and what Django says is what is answered."""
    limit("burst", "1000/second")
    settings.ALLOWED_HOSTS = ["testserver"]
    ask(django, environ_of(path_of(file)))
    environ = environ_of(path_of(file)) | UNUSUAL[request_]
    asked = []

    def watched(environ, start):
        asked.append(1)
        return django(environ, start)

    answer, there = ask(gate(watched), dict(environ)), ask(django, dict(environ))

    assert asked
    assert (answer[0], answer[2]) == (there[0], there[2])


@pytest.mark.parametrize("end", ["", ".metadata"])
@pytest.mark.parametrize("limits", [False, True])
def test_costs_one_round_trip_and_no_sql(django, file, limit, round_trips, end, limits, gate):
    """With limits; without any, nobody needs to be asked."""
    if limits:
        limit("burst", "1000/second")
        limit("bytes", "1GB/day")
    environ = environ_of(path_of(file, end))
    ask(django, dict(environ))
    ask(gate(nobody), dict(environ))

    with CaptureQueriesContext(connection) as queries:
        trips = round_trips(lambda: ask(gate(nobody), dict(environ)))

    assert (trips, len(queries)) == (int(limits), 0)


@pytest.mark.parametrize(("rate", "passes"), [("2/hour fixed", 2), ("20KB/hour fixed", 3)])
def test_refusal_is_charged_and_told_once(django, file, limit, rate, passes, gate):
    """What is above a limit, of requests or of bytes, is refused as Django refuses it."""
    limit("few", rate)
    environ = environ_of(path_of(file))
    assert 6_500 > file.size > 5_000

    statuses = [ask(gate(django), dict(environ))[0][:3] for _ in range(6)]

    assert statuses == ["200"] * passes + ["429"] * (6 - passes)


@pytest.mark.parametrize(
    ("name", "rate", "scopes"), [("pace", "1GB/second", "bandwidth"), ("width", "3 concurrent", "download")]
)
def test_limits_that_last_are_djangos_and_charged_once(django, file, limit, name, rate, scopes, gate):
    """Bandwidth, and downloads under way: Django paces and ends them."""
    limit("day", "1000/day calendar")
    limit(name, rate, scopes)
    environ = environ_of(path_of(file))
    before = left_after(django, dict(environ), "day")

    assert [left_after(gate(django), dict(environ), "day") for _ in range(6)] == [before - n for n in range(1, 7)]


@pytest.mark.parametrize(
    ("name", "rate", "scopes"), [("pace", "1GB/second", "bandwidth"), ("width", "3 concurrent", "download")]
)
def test_limits_that_begin_are_seen_by_requests_that_share_their_fields(django, file, limit, name, rate, scopes):
    """What was found out about a sender holds as long as the plans that it was found out of."""
    known: dict = {}
    environ = environ_of(path_of(file)) | {FIELDS: known}
    ask(django, environ_of(path_of(file)))
    (reply,) = Hits(nobody).at_once([dict(environ)])
    reply.body.close()
    assert known

    limit(name, rate, scopes)
    plans.reset()
    plans.look_if_due()

    assert Hits(nobody).at_once([dict(environ)]) == [None]


def test_file_that_is_not_there_is_charged_nothing(django, file, limit, gate):
    """Django tells that the bytes are missing, and gives back what the short way charged."""
    limit("day", "1000/day calendar")
    environ = environ_of(path_of(file))
    before = left_after(django, dict(environ), "day")
    path = Path(store.local_path(file.blob_id))
    held = path.read_bytes()
    path.unlink()

    assert ask(gate(django), dict(environ))[0][:3] == "503"
    path.write_bytes(held)
    assert left_after(django, dict(environ), "day") == before - 1


def test_metadata_is_kept_only_if_its_bytes_are_right(django, public, gate):
    """It is read from the disk once; damaged bytes are read each time, so that a repair is seen at once."""
    file = add_wheel(public, extra=os.urandom(200), version=f"9.{secrets.randbits(32)}")
    environ = environ_of(path_of(file, ".metadata"))
    ask(django, dict(environ))
    path = Path(store.local_path(file.metadata_blob_id))
    right = path.read_bytes()
    wrong = bytes(reversed(right))

    seen = []
    for now in (wrong, right, wrong):
        path.write_bytes(now)
        seen.append(ask(gate(nobody), dict(environ))[2])

    assert seen == [wrong, right, right]


@pytest.mark.parametrize("end", ["", ".metadata"])
def test_bytes_kept_elsewhere_are_djangos(django, public, settings, gate, end):
    """A bucket may let wait, which the loop of a worker must not: here a storage without paths."""
    file = add_wheel(public, extra=os.urandom(300), version="8.0")
    environ = environ_of(path_of(file, end))
    answer = ask(django, dict(environ))
    blobs = settings.STORAGES["blobs"] | {"BACKEND": "tests.support.elsewhere.Elsewhere"}
    settings.STORAGES = {**settings.STORAGES, "blobs": blobs}

    assert ask(gate(django), dict(environ))[2] == answer[2]
    with pytest.raises(AssertionError):
        ask(gate(nobody), dict(environ))


def test_what_was_not_sent_is_given_back(django, file, limit, gate):
    """A client that goes away is charged the bytes that it got."""
    limit("bytes", "1GB/day fixed")
    environ = environ_of(path_of(file))
    before = left_after(django, dict(environ), "bytes")
    answer = gate(nobody)(dict(environ), lambda *_: None)
    answer.read(1_000)
    answer.close()

    assert left_after(django, dict(environ), "bytes") == before - 1_000 - file.size


def test_deleted_file(django, file, gate):
    """What a process has forgotten is not sent by the short way either."""
    environ = environ_of(path_of(file))
    ask(django, dict(environ))
    catalogue.delete_file(SYSTEM, None, file)
    get_redis_connection("default").flushdb()  # as it will be in three seconds
    for cache in every:
        cache.clear_local()

    assert ask(gate(django), dict(environ))[0].startswith("404")


def test_revoked_token(django, index, token, gate):
    """Nobody gets a file by what was known of a token before."""
    environ = environ_of(path_of(add_wheel(index)), HTTP_AUTHORIZATION=token)
    ask(django, dict(environ))
    assert ask(gate(nobody), dict(environ))[0] == "200 OK"

    accounts.revoke(SYSTEM, None, Token.objects.get())

    assert ask(gate(django), dict(environ))[0].startswith("401")
