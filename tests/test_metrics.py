"""`/metrics`: what is counted, for whom, and that every worker's counts are in the sum."""

import re
import time

import pytest

from pkgindex import metrics
from pkgindex.catalog.models import Index
from tests.support.catalogue import add_wheel
from tests.support.distributions import form, wheel
from tests.support.prometheus import read
from throttling import services, store
from throttling.models import Assignment, Limit, Plan

JSON = "application/vnd.pypi.simple.v1+json"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def counted(client):
    """What has been counted since the test began."""
    before = read(client.get("/metrics").text)

    def more() -> dict[str, float]:
        now = read(client.get("/metrics").text)
        return {name: value - before.get(name, 0) for name, value in now.items() if value != before.get(name, 0)}

    return more


@pytest.fixture
def public(transactional_db) -> Index:
    """The default index, public, with one wheel."""
    index = Index.objects.create(slug="main", title="Main", is_default=True, visibility="public")
    add_wheel(index)
    return index


@pytest.fixture
def plan(transactional_db):
    """Give `anon` one limit."""

    def make(rate: str, **more: object) -> None:
        row = Plan(name="p")
        services.save(row, actor="test")
        services.save(Limit(plan=row, name="l", rate=rate, **more), actor="test")
        services.save(Assignment(plan=row, subject="anon"), actor="test")

    return make


def test_requests_are_counted_by_scope_and_status(client, public, counted):
    """Pages, what is not there, and what no limit knows."""
    for path in ("/simple/acme/", "/simple/acme/", "/simple/nothing/", "/p/acme/", "/livez"):
        client.get(path)

    found = counted()
    assert found['pkgindex_request_seconds_count{scope="index",status="2xx"}'] == 2
    assert found['pkgindex_request_seconds_count{scope="index",status="4xx"}'] == 1
    assert found['pkgindex_request_seconds_count{scope="web",status="2xx"}'] == 1
    assert found['pkgindex_request_seconds_count{scope="free",status="2xx"}'] >= 1
    assert found['pkgindex_request_seconds_bucket{le="+Inf",scope="index",status="2xx"}'] == 2


def test_decisions_are_counted_by_outcome(client, public, plan, counted):
    """Allowed, refused by a limit, then banned for it; the ban once."""
    plan("2/hour", ban_seconds=60, scopes="index")
    statuses = [client.get("/simple/acme/").status_code for _ in range(5)]

    found = counted()
    assert statuses == [200, 200, 429, 429, 429]
    assert found['pkgindex_limits_decisions_total{outcome="allowed",scope="index"}'] == 2
    assert found['pkgindex_limits_decisions_total{outcome="refused",scope="index"}'] == 1
    assert found['pkgindex_limits_decisions_total{outcome="banned",scope="index"}'] == 2
    assert found["pkgindex_limits_bans_total"] == 1


def test_a_limit_in_shadow_mode_is_counted_beside_what_it_let_through(client, public, plan, counted):
    """What enforcing it would cost can be read before it is enforced."""
    plan("2/hour", mode="shadow")
    for _ in range(5):
        assert client.get("/simple/acme/").status_code == 200

    found = counted()
    assert found['pkgindex_limits_decisions_total{outcome="allowed",scope="index"}'] == 5
    assert found['pkgindex_limits_decisions_total{outcome="shadow_refused",scope="index"}'] == 3


def test_delays_are_counted_and_measured(client, public, plan, counted):
    """Each request that was held back, and for how long."""
    plan("20/second burst=1 delay=2s")
    for _ in range(3):
        client.get("/simple/acme/")

    found = counted()
    assert found['pkgindex_limits_decisions_total{outcome="delayed",scope="index"}'] == 2
    assert found['pkgindex_limits_delay_seconds_count{scope="index"}'] == 2
    assert 0.05 <= found['pkgindex_limits_delay_seconds_sum{scope="index"}'] < 1


def test_what_is_given_back_is_told_apart(client, public, plan, counted):
    """A 304 was charged and refunded."""
    plan("5/hour")
    etag = client.get("/simple/acme/")["ETag"]
    client.get("/simple/acme/", HTTP_IF_NONE_MATCH=etag)

    assert counted()['pkgindex_limits_decisions_total{outcome="returned",scope="index"}'] == 1


def test_bytes_are_counted(client, public, people_of_public, basic, counted):
    """Files by their size, uploads by their body."""
    from django.core.files.uploadedfile import SimpleUploadedFile

    url = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"]
    size = public.files.get().size
    answer = client.get(url)
    answer.close()
    client.head(url)
    filename, content = wheel(version="3.0")
    data = form(filename, content, version="3.0") | {"content": SimpleUploadedFile(filename, content)}
    assert client.post("/legacy/", data, **basic("uploader", "uploader-password")).status_code == 200

    found = counted()
    assert found["pkgindex_download_bytes_total"] == size
    assert found["pkgindex_uploads_total"] == 1
    assert found["pkgindex_upload_bytes_total"] > len(content)


@pytest.fixture
def people_of_public(public):
    """An uploader of the public index."""
    from pkgindex.accounts.models import Role, User

    user = User.objects.create_user("uploader", password="uploader-password")
    Role.objects.create(user=user, index=public, rank="uploader")
    return user


def test_a_store_that_is_away_is_seen(client, public, plan, counted, redis_server):
    """The gauge falls to 0, and decisions made without the store are counted."""
    plan("500/hour")
    client.get("/simple/acme/")
    redis_server.stop()
    try:
        client.get("/p/acme/")
        text = client.get("/metrics").text
    finally:
        redis_server.start()

    assert read(text)["pkgindex_limits_store_up"] == 0
    assert counted()['pkgindex_limits_degraded_decisions_total{scope="web"}'] >= 1
    store.reset()
    assert read(client.get("/metrics").text)["pkgindex_limits_store_up"] == 1


def test_no_label_is_a_caller_s(client, public, plan, counted, people_of_public, basic):
    """However many paths, names and tokens are tried, the series stay the same few."""
    plan("500/second")
    for number in range(30):
        client.get(f"/simple/made-up-{number}/", REMOTE_ADDR=f"192.0.2.{number}")
        client.get(f"/odd-{number}/x", **basic(f"who-{number}", "x"))
        client.generic(f"ODD{number}", f"/{number}")

    text = client.get("/metrics").text
    assert not re.search(r"made-up|who-|odd-|ODD|192\.0\.2", text)
    assert len([line for line in text.splitlines() if not line.startswith("#")]) < 600


@pytest.mark.parametrize(
    ("meta", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, 200),
        ({"REMOTE_ADDR": "192.0.2.1"}, 401),
        ({"REMOTE_ADDR": ""}, 401),
        ({"REMOTE_ADDR": "nonsense"}, 401),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}, 401),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 401),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=192.0.2.1"}, 401),
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 401),
    ],
)
def test_who_is_near_reads_without_being_asked(client, meta, status):
    """Loopback by default; a header, or a proxy that nobody named, opens nothing."""
    answer = client.get("/metrics", **meta)

    assert answer.status_code == status
    assert answer["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer) == (status == 401)


def test_behind_a_named_proxy_the_client_counts(client, settings):
    """The proxy's own address is not the client's."""
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = (ip_network("127.0.0.0/8"),)
    settings.METRICS_NETWORKS = (ip_network("10.0.0.0/8"),)

    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="10.1.2.3").status_code == 200
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="192.0.2.1").status_code == 401
    assert client.get("/metrics").status_code == 401


def test_from_elsewhere_an_administrator_reads(client, settings, people, admin_user, basic):
    """Others are refused, with the reason."""
    settings.METRICS_NETWORKS = ()

    assert client.get("/metrics", **basic("root", "root-password")).status_code == 200
    assert client.get("/metrics", **basic("reader", "reader-password")).status_code == 403
    assert client.get("/metrics", **basic("reader", "wrong")).status_code == 401
    assert client.post("/metrics").status_code == 405


def test_metrics_cost_no_query(client, django_assert_num_queries):
    """Asked every few seconds, it must not ask the database."""
    with django_assert_num_queries(0):
        assert client.get("/metrics").status_code == 200


def test_open_metrics_is_spoken_too(client):
    """Prometheus prefers it."""
    answer = client.get("/metrics", HTTP_ACCEPT="application/openmetrics-text; version=1.0.0")

    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_counting_costs_microseconds(rf):
    """A request is counted in well under a twentieth of a millisecond."""
    from django.http import HttpResponse

    bare = HttpResponse()
    counting = metrics.Measured(lambda _request: bare)
    request = rf.get("/simple/acme/")
    counting(request)
    started = time.perf_counter()
    for _ in range(2_000):
        counting(request)

    assert (time.perf_counter() - started) / 2_000 < 50e-6
