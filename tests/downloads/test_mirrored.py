"""Downloads from mirror nodes, in each way that an index can choose."""

import secrets

import httpx
import pytest

from balancing.models import Replica
from balancing.policies import POLICIES
from balancing.replication import requests
from pkgindex import mirrors
from pkgindex.audit.record import SYSTEM
from pkgindex.blobs import store
from pkgindex.catalog import services as catalogue
from pkgindex.catalog.index_services import change_index
from pkgindex.catalog.models import Index
from pkgindex.catalog.paths import file_path
from pkgindex.catalog.signals import FileFacts, files_added
from tests.support.catalogue import add_wheel
from tests.support.nodes import KEYS, Nodes

pytestmark = pytest.mark.django_db(transaction=True)
LARGE = 3_000_000


@pytest.fixture
def nodes(tmp_path, settings, transactional_db):
    """Mirror nodes of this test, killed at its end."""
    settings.BALANCING = settings.BALANCING | {"KEYS": KEYS}
    made = Nodes(tmp_path)
    made.forget()
    yield made
    made.stop()
    made.forget()


@pytest.fixture
def file(nodes, transactional_db):
    """A wheel of three megabytes in a public index, with two nodes that hold it."""
    index = Index.objects.create(slug="main", title="Main", is_default=True, visibility="public")
    nodes.start("a")
    nodes.start("b")
    made = add_wheel(index, extra=secrets.token_bytes(LARGE))
    requests.wanted([made.blob_id])
    nodes.copy()
    return made


def path_of(file) -> str:
    return "/" + file_path(file.blob_id, file.filename)


def bytes_of(answer) -> bytes:
    try:
        return b"".join(answer.streaming_content) if answer.streaming else answer.content
    finally:
        answer.close()


def original(file) -> bytes:
    with store.open_blob(file.blob_id) as opened:
        return opened.read()


def deliver(file, **fields) -> None:
    change_index(SYSTEM, None, file.index, **fields)


def test_proxied_bytes_come_from_a_node(client, file):
    """Without the original the file is still served whole, with its headers; so it came from a node."""
    content = original(file)
    store.remove_bytes(file.blob_id)

    answer = client.get(path_of(file))

    assert (answer.status_code, bytes_of(answer)) == (200, content)
    assert answer["Content-Length"] == str(file.size)
    assert answer["ETag"] == f'"{file.blob_id}"'
    assert "immutable" in answer["Cache-Control"]


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-9", slice(0, 10)), ("bytes=-5", slice(-5, None)), ("bytes=2000000-", slice(2_000_000, None))],
)
def test_proxied_parts(client, file, asked, part):
    """A range comes from a node as the same bytes with 206."""
    content = original(file)
    store.remove_bytes(file.blob_id)

    answer = client.get(path_of(file), HTTP_RANGE=asked)

    assert (answer.status_code, bytes_of(answer)) == (206, content[part])
    assert client.get(path_of(file), HTTP_RANGE="bytes=99999999-").status_code == 416


def test_file_that_no_node_has_yet_is_served_at_once(client, file):
    """Between the upload and its copies the original serves, in both ways; 404 never."""
    fresh = add_wheel(file.index, version="2.0", extra=secrets.token_bytes(LARGE))
    for way in ("proxy", "redirect"):
        deliver(file, delivery=way)
        answer = client.get(path_of(fresh))
        assert (answer.status_code, bytes_of(answer)) == (200, original(fresh))


@pytest.mark.parametrize("way", ["proxy", "redirect"])
def test_all_nodes_down(client, file, nodes, way):
    """Killed nodes cost a proxied download nothing; a redirected one is served by us as soon as probes know."""
    deliver(file, delivery=way)
    for server in nodes.servers.values():
        server.kill()
    if way == "redirect":
        for name in nodes.servers:
            for _ in range(3):
                nodes_down(name)
        nodes.forget()

    answer = client.get(path_of(file))

    assert (answer.status_code, bytes_of(answer)) == (200, original(file))


def nodes_down(name: str) -> None:
    from balancing import health

    health.probed(name, False, 0.01, detail="no answer")


def test_damaged_small_copy_is_replaced_unnoticed(client, file, nodes):
    """A copy of other bytes on the node is never sent: the next serves, and the copy is offered no more."""
    small = add_wheel(file.index, version="3.0", extra=secrets.token_bytes(200_000))
    requests.wanted([small.blob_id])
    nodes.copy()
    for server in nodes.servers.values():
        path = server.path(small.blob_id)
        path.chmod(0o644)
        path.write_bytes(b"x" * small.size)

    answer = client.get(path_of(small))

    assert (answer.status_code, bytes_of(answer)) == (200, original(small))
    states = set(Replica.objects.filter(digest=small.blob_id).values_list("state", flat=True))
    assert "verified" not in states or len(states) > 1
    assert "corrupt" in states


def test_redirect_is_followed_without_credentials(client, file):
    """The node's URL alone gives the file; nothing may keep the redirect itself."""
    deliver(file, delivery="redirect")

    answer = client.get(path_of(file))

    assert (answer.status_code, answer["Cache-Control"]) == (302, "no-store")
    assert httpx.get(answer["Location"]).content == original(file)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_redirect_is_the_same_for_the_hour(client, file, policy, nodes):
    """Under every policy a client that asks again gets the same URL, so that pip's cache finds it."""
    deliver(file, delivery="redirect", mirror_policy=policy)
    found = set()
    for _ in range(4):
        found.add(client.get(path_of(file))["Location"])
        forget_the_half_minute()
        nodes.forget()

    assert len(found) == 1


def forget_the_half_minute() -> None:
    from django_redis import get_redis_connection

    for key in get_redis_connection("default").scan_iter("balancing:sent:*"):
        get_redis_connection("default").delete(key)


def test_client_that_asks_again_at_once_is_sent_elsewhere(client, file):
    """Within half a minute the same request means that the node did not serve: the other is tried."""
    deliver(file, delivery="redirect")

    first, second = (client.get(path_of(file))["Location"] for _ in range(2))

    assert first.split("/files/")[0] != second.split("/files/")[0]


def test_what_is_not_redirected(client, file):
    """HEAD, parts, metadata and small files are answered here, whatever the index prefers."""
    deliver(file, delivery="redirect")
    small = add_wheel(file.index, version="4.0")

    assert client.head(path_of(file)).status_code == 200
    part = client.get(path_of(file), HTTP_RANGE="bytes=0-99")
    assert (part.status_code, bytes_of(part)) == (206, original(file)[:100])
    metadata = client.get(path_of(file) + ".metadata")
    assert (metadata.status_code, bytes_of(metadata)[:16]) == (200, b"Metadata-Version")
    answer = client.get(path_of(small))
    assert (answer.status_code, bytes_of(answer)) == (200, original(small))


@pytest.mark.parametrize("prefix", ["", "/blobs/"])
def test_direct_never_asks_a_node(client, file, settings, prefix):
    """An index that wants its files sent by ourselves gets that, also where nginx could."""
    settings.ACCEL_REDIRECT_PREFIX = prefix
    deliver(file, delivery="direct")
    store.remove_bytes(file.blob_id)

    assert client.get(path_of(file)).status_code == 503


def test_accel_leaves_it_to_nginx(client, file, settings):
    """In accel mode nginx sends our own copy."""
    settings.ACCEL_REDIRECT_PREFIX = "/blobs/"
    deliver(file, delivery="accel")

    assert client.get(path_of(file))["X-Accel-Redirect"].startswith("/blobs/")


def test_deleted_file_gets_tombstones(file):
    """Deletion takes the copies along, unless another index has the same bytes."""
    other = Index.objects.create(slug="other", title="Other")
    add_wheel(other, "twin", blob_id=file.blob_id, size=file.size, filename="twin-1.0-py3-none-any.whl")

    catalogue.delete_project(SYSTEM, None, file.release.project)
    kept = set(Replica.objects.filter(digest=file.blob_id).values_list("state", flat=True))
    catalogue.delete_project(SYSTEM, None, other.projects.get())
    buried = set(Replica.objects.filter(digest=file.blob_id).values_list("state", flat=True))

    assert (kept, buried) == ({"verified"}, {"deleting"})


def test_copies_follow_the_index(file):
    """No copies, or one: what is wanted of an index's files is what its row says."""
    deliver(file, mirror_copies=0)
    mirrors.recount(index_id=file.index_id)
    states = set(Replica.objects.filter(digest=file.blob_id).values_list("state", flat=True))
    assert states == {"deleting"}

    deliver(file, mirror_copies=1)
    assert mirrors.Catalogue().wanted([file.blob_id])[file.blob_id].copies == 1
    assert [one.digest for one in mirrors.Catalogue().every()] == [file.blob_id]


def test_many_files_are_one_question(file, django_assert_num_queries):
    """What is wanted of two hundred files, of which one is there, costs one query."""
    digests = [file.blob_id, *(f"{number:064x}" for number in range(199))]

    with django_assert_num_queries(1):
        assert list(mirrors.Catalogue().wanted(digests)) == [file.blob_id]


def test_quarantine_takes_the_copies_away(file):
    """Signed URLs must not serve what is quarantined: its copies go, and return with its release."""
    catalogue.set_status(SYSTEM, None, file.release.project, "quarantined", "malware")
    mirrors.recount(project_id=file.release.project_id)

    assert set(Replica.objects.values_list("state", flat=True)) == {"deleting"}


def test_upload_asks_for_copies(file, nodes):
    """An announced file has a pending copy on each node."""
    fresh = add_wheel(file.index, version="5.0", extra=secrets.token_bytes(1000))
    facts = FileFacts(file.index_id, file.release.project_id, fresh.blob_id, fresh.size, None)

    files_added.send(sender=None, facts=[facts])

    assert Replica.objects.filter(digest=fresh.blob_id, state="pending").count() == 2
