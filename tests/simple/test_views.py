"""The simple repository API over HTTP: addresses, methods, negotiation, headers, conditions."""

import gzip
import json

import pytest
import zstandard
from django.test import Client
from django.urls import set_script_prefix

from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import Index, Project
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)

V1_JSON = "application/vnd.pypi.simple.v1+json"
V1_HTML = "application/vnd.pypi.simple.v1+html"


@pytest.fixture
def public(db) -> Index:
    """A public default index."""
    return Index.objects.create(slug="open", is_default=True, visibility="public")


def get_json(client: Client, path: str, **headers: str) -> dict:
    response = client.get(path, HTTP_ACCEPT=V1_JSON, **headers)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def test_page_lists_the_file_with_its_facts(client, public):
    """What was uploaded is on the page, with the digest, the size and the metadata's digest of its row."""
    file = add_wheel(public, "Acme.Tools", "1.0", requires_python=">=3.9")

    page = get_json(client, "/simple/acme-tools/")

    assert page["name"] == "acme-tools"
    assert page["versions"] == ["1.0"]
    (entry,) = page["files"]
    assert entry["filename"] == file.filename
    assert entry["hashes"] == {"sha256": file.blob_id}
    assert entry["core-metadata"] == {"sha256": file.metadata_blob_id}
    assert entry["size"] == file.size
    assert len(client.get(entry["url"]).getvalue()) == file.size


def test_list_names_projects_with_their_serials(client, public):
    """The list gives names as their owners write them and the serial of each project."""
    add_wheel(public, "Zulu")
    add_wheel(public, "Acme.Tools")

    page = get_json(client, "/simple/")

    assert page["projects"] == [{"name": "Acme.Tools", "_last-serial": 4}, {"name": "Zulu", "_last-serial": 2}]
    assert page["meta"] == {"api-version": "1.4", "_last-serial": 4}


def test_named_index_has_its_own_pages(client, public):
    """Another index answers below its slug and shares nothing with the default one."""
    other = Index.objects.create(slug="other-1", visibility="public")
    add_wheel(other, "beta")

    assert [p["name"] for p in get_json(client, "/i/other-1/simple/")["projects"]] == ["beta"]
    assert get_json(client, "/i/other-1/simple/beta/")["versions"] == ["1.0"]
    assert client.get("/simple/beta/").status_code == 404
    assert client.get("/i/open/simple/").status_code == 200


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/simple", "/simple/"),
        ("/simple?format=x&y=1", "/simple/?format=x&y=1"),
        ("/simple/acme", "/simple/acme/"),
        ("/simple/Ac__me.", None),
        ("/simple/A.c_-Me/", "/simple/a-c-me/"),
        ("/simple/A.c_-Me?a=%2F", "/simple/a-c-me/?a=%2F"),
        ("/i/open/simple", "/i/open/simple/"),
        ("/i/open/simple/ACME", "/i/open/simple/acme/"),
    ],
)
def test_redirects_to_the_one_address(client, public, path, target):
    """A missing slash or another spelling is sent to the normalised address on the same host, existing or not."""
    response = client.get(path)

    if target is None:
        assert response.status_code == 404
    else:
        assert (response.status_code, response["Location"]) == (301, target)


@pytest.mark.parametrize("name", ["é", "a b", "-a", "%00", "a" * 201, "..", "a%0Ab", "%E2%84%AA", "<script>"])
def test_impossible_names_are_not_found(client, public, name):
    """What no project can be called is a plain 404, not a fault and not a redirect."""
    response = client.get(f"/simple/{name}/")

    assert response.status_code == 404
    assert response["Content-Type"].startswith(("text/plain", "text/html"))


def test_unknown_and_empty_projects(client, public):
    """An unknown project is 404; a known one without files is 200 with an empty list."""
    assert client.get("/simple/acme/").status_code == 404
    file = add_wheel(public)
    file.release.delete()
    with changing(public.pk, public.slug, SYSTEM) as change:
        change.note("remove release", Project.objects.get(), version="1.0")

    page = get_json(client, "/simple/acme/")

    assert (page["files"], page["versions"]) == ([], [])


@pytest.mark.parametrize("path", ["/simple/", "/simple", "/simple/acme/", "/i/open/simple/", "/legacy/+simple/acme/"])
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_other_methods(public, path, method):
    """An upload sent here learns where to go, even with CSRF checks on."""
    response = getattr(Client(enforce_csrf_checks=True), method)(path)

    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"
    assert response.content == b"This is the index for reading; upload to /legacy/.\n"


@pytest.mark.parametrize("path", ["/legacy/%2Bsimple/Acme/", "/legacy/+simple/acme", "/i/open/legacy/%2Bsimple/acme/"])
def test_page_that_hatch_asks_for(client, public, path):
    """The page beside the upload address is HTML whatever is accepted, for any spelling of the name."""
    add_wheel(public)

    response = client.get(path, HTTP_ACCEPT=V1_JSON)

    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert b">acme-1.0-py3-none-any.whl</a>" in response.content


@pytest.mark.parametrize(
    ("accept", "query", "content_type"),
    [
        ("*/*", "", "text/html; charset=utf-8"),
        (V1_HTML, "", f"{V1_HTML}; charset=utf-8"),
        (V1_JSON, "", V1_JSON),
        ("application/vnd.pypi.simple.latest+json", "", V1_JSON),
        ("text/html", f"?format={V1_JSON}", V1_JSON),
    ],
)
@pytest.mark.parametrize("path", ["/simple/", "/simple/acme/"])
def test_content_type(client, public, path, accept, query, content_type):
    """The answer names the concrete type that was chosen."""
    add_wheel(public)

    assert client.get(path + query, HTTP_ACCEPT=accept)["Content-Type"] == content_type


def test_unsupported_version_is_not_acceptable(client, public):
    """A client of a later API alone is told so instead of being sent a page it cannot read."""
    response = client.get("/simple/", HTTP_ACCEPT="application/vnd.pypi.simple.v2+json")

    assert response.status_code == 406
    assert V1_JSON in response.content.decode()


def test_head_is_get_without_a_body(client, public):
    """HEAD has the headers of GET, its length too, and no body."""
    add_wheel(public)
    for path in ("/simple/", "/simple/acme/", "/simple/unknown/"):
        got, head = client.get(path), client.head(path)

        assert head.status_code == got.status_code
        assert head.content == b""
        assert {**head.headers, "Content-Length": str(len(got.content))} == {**got.headers, **head.headers}
        assert head["Content-Length"] == str(len(got.content))


def test_headers_of_a_public_page(client, public):
    """Everyone's page may be kept anywhere and is asked about each time; nothing in it can run."""
    add_wheel(public)

    response = client.get("/simple/acme/")

    assert response["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert response["Vary"] == "Accept, Accept-Encoding"
    assert response["X-PyPI-Last-Serial"] == "2"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"].startswith("default-src 'none'")
    assert "sandbox" in response["Content-Security-Policy"]
    assert not response.cookies


def test_headers_of_a_private_page(client, index, people, basic):
    """A private page stays with its reader."""
    add_wheel(index)

    response = client.get("/simple/acme/", **basic("reader", "reader-password"))

    assert response["Cache-Control"] == "private, max-age=0, must-revalidate"
    assert response["Vary"] == "Accept, Accept-Encoding, Authorization"


def test_codings_are_the_same_page(client, public):
    """Each coding decodes to the same bytes and has a strong tag of its own."""
    add_wheel(public)
    plain = client.get("/simple/acme/")
    zipped = client.get("/simple/acme/", HTTP_ACCEPT_ENCODING="gzip")
    packed = client.get("/simple/acme/", HTTP_ACCEPT_ENCODING="gzip, deflate, zstd")

    assert gzip.decompress(zipped.content) == plain.content == zstandard.decompress(packed.content)
    assert [r.get("Content-Encoding") for r in (plain, zipped, packed)] == [None, "gzip", "zstd"]
    tags = {r["ETag"] for r in (plain, zipped, packed, client.get("/simple/acme/", HTTP_ACCEPT=V1_JSON))}
    assert len(tags) == 4
    assert all(tag.startswith('"') for tag in tags)


@pytest.mark.parametrize("field", ["{}", "W/{}", '"x", {}', '"x",W/{} , "y"', "*"])
def test_not_modified(client, public, field):
    """A known tag, weak or in a list, or any tag, is answered 304 with what caches need and no body."""
    add_wheel(public)
    first = client.get("/simple/acme/")

    response = client.get("/simple/acme/", HTTP_IF_NONE_MATCH=field.format(first["ETag"]))

    assert (response.status_code, response.content) == (304, b"")
    for name in ("ETag", "Vary", "Cache-Control", "X-PyPI-Last-Serial"):
        assert response[name] == first[name]


def test_other_tags_get_the_page(client, public):
    """A tag of another form, coding or time is no match."""
    add_wheel(public)
    tag = client.get("/simple/acme/")["ETag"]

    for headers in (
        {"HTTP_IF_NONE_MATCH": '"other"'},
        {"HTTP_IF_NONE_MATCH": tag, "HTTP_ACCEPT": V1_JSON},
        {"HTTP_IF_NONE_MATCH": tag, "HTTP_ACCEPT_ENCODING": "gzip"},
        {"HTTP_IF_NONE_MATCH": "garbage,,"},
    ):
        assert client.get("/simple/acme/", **headers).status_code == 200
    add_wheel(public, version="2.0")
    assert client.get("/simple/acme/", HTTP_IF_NONE_MATCH=tag).status_code == 200


def test_mounted_under_a_prefix(client, public):
    """Under a mount point, links and redirects begin with it, and other mounts' cached pages are not mixed in."""
    add_wheel(public)
    bare = get_json(client, "/simple/acme/")["files"][0]["url"]

    set_script_prefix("/pkg")  # as Django's handler does for each request of a mounted application
    try:
        mounted = get_json(client, "/simple/acme/")["files"][0]["url"]
        moved = client.get("/simple/ACME")
    finally:
        set_script_prefix("/")

    assert mounted == "/pkg" + bare
    assert moved["Location"] == "/pkg/simple/acme/"
    assert get_json(client, "/simple/acme/")["files"][0]["url"] == bare
