"""Files and their metadata over HTTP."""

import hashlib
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkgindex.audit.record import SYSTEM
from pkgindex.blobs import store
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import File, Index, Project
from pkgindex.catalog.paths import file_path
from pkgindex.downloads.views import PREFIX, named_by
from pkgindex.nearcache import every
from tests.support.catalogue import add_wheel
from tests.support.distributions import metadata, wheel

pytestmark = pytest.mark.django_db(transaction=True)

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC)
MODIFIED = "Wed, 04 Mar 2026 05:06:07 GMT"


@pytest.fixture
def public(db) -> Index:
    """A public default index."""
    return Index.objects.create(slug="open", is_default=True, visibility="public")


@pytest.fixture
def file(public) -> File:
    """A wheel in the public index."""
    return add_wheel(public, uploaded_at=MOMENT)


def path_of(file: File) -> str:
    return "/" + file_path(file.blob_id, file.filename)


CONTENT = wheel()[1]
SIZE = len(CONTENT)


def test_file_is_its_bytes_for_ever(client, file):
    """The whole file, with everything that installers and caches need and nothing that spoils it."""
    response = client.get(path_of(file), HTTP_ACCEPT_ENCODING="gzip, zstd")

    assert response.status_code == 200
    assert response.getvalue() == CONTENT
    assert response["Content-Length"] == str(SIZE)
    assert response["Content-Type"] == "application/octet-stream"
    assert response["ETag"] == f'"{file.blob_id}"'
    assert response["Last-Modified"] == MODIFIED
    assert response["Accept-Ranges"] == "bytes"
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    for absent in ("Content-Encoding", "Content-Disposition", "Vary", "Set-Cookie"):
        assert absent not in response


def test_metadata_is_beside_the_file(client, file):
    """`.metadata` behind the path is the exact METADATA of the wheel, with a tag of its own."""
    response = client.get(path_of(file) + ".metadata")

    assert response.getvalue() == metadata()
    assert response["ETag"] == f'"{hashlib.sha256(metadata()).hexdigest()}"'
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Cache-Control"].endswith("immutable")


def test_file_without_metadata(client, public):
    """Where no metadata is stored there is none."""
    file = add_wheel(public, metadata_blob=None)

    assert client.get(path_of(file) + ".metadata").status_code == 404
    assert client.get(path_of(file) + ".metadata.metadata").status_code == 404


def test_head_has_the_headers_of_get(client, file):
    """HEAD of file and metadata says all that GET says, ignores a range, and sends no body."""
    for path in (path_of(file), path_of(file) + ".metadata"):
        got = client.get(path)
        got.getvalue()
        head = client.head(path, HTTP_RANGE="bytes=0-1")
        assert (head.status_code, head.content) == (200, b"")
        assert dict(head.headers) == dict(got.headers)


@pytest.mark.parametrize(
    ("field", "expected", "content_range"),
    [
        ("bytes=0-0", CONTENT[:1], f"bytes 0-0/{SIZE}"),
        ("bytes=10-", CONTENT[10:], f"bytes 10-{SIZE - 1}/{SIZE}"),
        ("bytes=10-19", CONTENT[10:20], f"bytes 10-19/{SIZE}"),
        ("bytes=-7", CONTENT[-7:], f"bytes {SIZE - 7}-{SIZE - 1}/{SIZE}"),
        ("bytes=-10000", CONTENT, f"bytes 0-{SIZE - 1}/{SIZE}"),
    ],
)
def test_part_of_a_file(client, file, field, expected, content_range):
    """A range is answered 206 with exactly those bytes."""
    response = client.get(path_of(file), HTTP_RANGE=field)

    assert response.status_code == 206
    assert response.getvalue() == expected
    assert response["Content-Range"] == content_range
    assert response["Content-Length"] == str(len(expected))
    assert response["ETag"] == f'"{file.blob_id}"'


@pytest.mark.parametrize("field", ["bytes=0-1,3-4", "bytes=5-3", "lines=1-2", "nonsense"])
def test_other_ranges_get_the_whole(client, file, field):
    """Several ranges, and what is no range, are answered with the whole file."""
    response = client.get(path_of(file), HTTP_RANGE=field)

    assert (response.status_code, response.getvalue()) == (200, CONTENT)
    assert "Content-Range" not in response


def test_range_behind_the_end(client, file):
    """416 names the size and is not kept by caches."""
    response = client.get(path_of(file), HTTP_RANGE=f"bytes={SIZE}-")

    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{SIZE}"
    assert response["Cache-Control"] == "no-store"
    assert "Content-Length" not in response or response["Content-Length"] == str(len(response.content))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(first=st.integers(0, SIZE - 1), length=st.integers(1, SIZE))
def test_any_range_is_the_slice(client, file, first, length):
    """The body of a part is the same slice of the file."""
    response = client.get(path_of(file), HTTP_RANGE=f"bytes={first}-{first + length - 1}")

    assert response.getvalue() == CONTENT[first : first + length]


@pytest.mark.parametrize(
    ("if_range", "status"),
    [("{etag}", 206), (MODIFIED, 206), ("W/{etag}", 200), ('"other"', 200), ("Wed, 04 Mar 2026 05:06:08 GMT", 200)],
)
def test_resuming(client, file, if_range, status):
    """A download is resumed only where it is the same file."""
    field = if_range.format(etag=f'"{file.blob_id}"')
    response = client.get(path_of(file), HTTP_RANGE="bytes=5-", HTTP_IF_RANGE=field)

    assert response.status_code == status
    assert response.getvalue() == (CONTENT[5:] if status == 206 else CONTENT)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"HTTP_IF_NONE_MATCH": "{etag}"}, 304),
        ({"HTTP_IF_NONE_MATCH": 'W/"x", W/{etag}'}, 304),
        ({"HTTP_IF_NONE_MATCH": "*"}, 304),
        ({"HTTP_IF_NONE_MATCH": '"x"'}, 200),
        ({"HTTP_IF_NONE_MATCH": '"x"', "HTTP_IF_MODIFIED_SINCE": MODIFIED}, 200),
        ({"HTTP_IF_MODIFIED_SINCE": MODIFIED}, 304),
        ({"HTTP_IF_MODIFIED_SINCE": "Wed, 04 Mar 2026 05:06:06 GMT"}, 200),
        ({"HTTP_IF_MODIFIED_SINCE": "yesterday"}, 200),
        ({"HTTP_IF_MATCH": '"x"'}, 412),
        ({"HTTP_IF_MATCH": "{etag}"}, 200),
    ],
)
def test_conditions(client, file, headers, status):
    """Conditional requests follow RFC 9110, and a 304 carries what caches refresh from it."""
    etag = f'"{file.blob_id}"'
    response = client.get(path_of(file), **{name: value.format(etag=etag) for name, value in headers.items()})
    response.getvalue()

    assert response.status_code == status
    if status == 304:
        assert response.content == b""
        assert (response["ETag"], response["Last-Modified"]) == (etag, MODIFIED)
        assert response["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path",
    [
        "/packages/",
        "/packages/aa/bb/cc/acme-1.0.whl",
        "/packages/AA/BB/" + "c" * 60 + "/acme-1.0.whl",
        "/packages/gg/bb/" + "c" * 60 + "/acme-1.0.whl",
        "/packages/aa/bb/" + "c" * 60,
        "/packages/aa/bb/" + "c" * 60 + "/",
        "/packages/aa/bb/" + "c" * 60 + "/a/b",
        "/packages/aa/bb/" + "c" * 60 + "/..%2f..%2fetc%2fpasswd",
        "/packages/aa/bb/" + "c" * 60 + "/a%00.whl",
        "/packages/aa/bb/" + "c" * 60 + "/a%0A.whl",
        "/packages/aa/bb/" + "c" * 60 + "/" + "a" * 400,
        "/packages/aa/bb/" + "c" * 60 + "/.metadata",
        "/packages/aa/bb/" + "c" * 60 + "/acme-1.0.whl",
        "/packages/aa/bb/" + "c" * 60 + "/acme-1.0.whl.metadata",
        "/packages/../aa/bb/" + "c" * 60 + "/%FF%FE",
    ],
)
def test_paths_that_are_no_file(client, public, path):
    """Any path that names no file is a plain 404."""
    response = client.get(path)

    assert response.status_code == 404
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "no-store"


def test_digest_and_name_belong_together(client, file, public):
    """The right digest under another name, or another digest under the right name, is nothing."""
    other = add_wheel(public, "other")

    assert client.get("/" + file_path(file.blob_id, other.filename)).status_code == 404
    assert client.get("/" + file_path(other.blob_id, file.filename)).status_code == 404
    assert client.get("/" + file_path(str(file.metadata_blob_id), file.filename)).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_other_methods(file, method):
    """Files are for reading."""
    response = getattr(Client(enforce_csrf_checks=True), method)(path_of(file))

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


def test_hit_asks_no_sql(client, file):
    """A file that was asked for a moment ago is found without SQL, its metadata too."""
    client.get(path_of(file)).getvalue()

    with CaptureQueriesContext(connection) as queries:
        client.get(path_of(file)).getvalue()
        client.get(path_of(file) + ".metadata").getvalue()
    assert len(queries) == 0


def test_missing_bytes(client, file, caplog):
    """A row without bytes is an honest 503 and a line in the log, also where the bytes are too few."""
    path = store.local_path(file.blob_id)
    with open(path, "r+b") as blob:  # noqa: PTH123 - the path is text
        blob.truncate(5)
    short = client.get(path_of(file))
    store.remove_bytes(file.blob_id)

    for response in (short, client.get(path_of(file)), client.head(path_of(file))):
        assert response.status_code == 503
        assert response["Cache-Control"] == "no-store"
        assert "ETag" not in response
    assert file.blob_id in caplog.text
    assert client.get(path_of(file) + ".metadata").getvalue() == metadata()


def test_without_redis_files_are_served(client, file, redis_server):
    """With Redis gone, files come as before."""
    redis_server.stop()

    assert client.get(path_of(file)).getvalue() == CONTENT


def test_quarantined_project_offers_no_file(client, file, public):
    """A file of a quarantined project cannot be fetched by a link that was known before."""
    with changing(public.pk, public.slug, SYSTEM) as change:
        Project.objects.update(status="quarantined")
        change.note("quarantine", file.release.project)
    for cache in every:
        cache.clear_local()

    assert client.get(path_of(file)).status_code == 404
    assert client.get(path_of(file) + ".metadata").status_code == 404


def test_accel_leaves_the_bytes_to_nginx(client, file, settings):
    """With the setting, nginx is told the file and sees the permanent headers; metadata is sent from here."""
    settings.ACCEL_REDIRECT_PREFIX = "/blobs/"

    response = client.get(path_of(file), HTTP_RANGE="bytes=0-1")

    assert (response.status_code, response.content) == (200, b"")
    assert response["X-Accel-Redirect"] == f"/blobs/{store.blob_name(file.blob_id)}"
    assert response["Cache-Control"].endswith("immutable")
    assert client.get(path_of(file) + ".metadata").getvalue() == metadata()


DIGEST = "ab" + "cd" + "0" * 60
NAMED = {
    "a.whl": ("a.whl", False),
    "a.whl.metadata": ("a.whl", True),
    "a.metadata.metadata": ("a.metadata", True),
    ".metadata": (".metadata", False),
    "x" * 300: ("x" * 300, False),
    "x" * 300 + ".metadata": ("x" * 300, True),
    "x" * 301: None,
    "x" * 301 + ".metadata": None,
    "": None,
    "a/b": None,
    "a\n": None,
}


@pytest.mark.parametrize("name", NAMED)
def test_what_a_path_names(name):
    """A file, or its metadata; names are bounded, and nothing else is a path of a file."""
    expected = NAMED[name]

    found = named_by(f"/packages/ab/cd/{'0' * 60}/{name}", len(PREFIX))

    assert found == (expected and (DIGEST, *expected))
    assert named_by(f"ab/cd/{'0' * 59}/{name}") is None
