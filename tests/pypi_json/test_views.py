"""PyPI's JSON API over HTTP."""

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pkgindex.accounts.models import Role, User
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import Index, Project, Release
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def public(db) -> Index:
    """A public default index."""
    return Index.objects.create(slug="open", is_default=True, visibility="public")


def get(client: Client, path: str, **headers: str) -> dict:
    response = client.get(path, **headers)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def test_project_shows_its_latest_release_and_all_files(client, public):
    """The project's document tells the latest release and lists the files of all, in the order of versions."""
    add_wheel(public, "Acme", "1.9")
    file = add_wheel(public, "Acme", "1.10")
    add_wheel(public, "Acme", "2.0rc1")

    data = get(client, "/pypi/acme/json")

    assert (data["info"]["name"], data["info"]["version"]) == ("Acme", "1.10")
    assert data["last_serial"] == 4
    assert list(data["releases"]) == ["1.9", "1.10", "2.0rc1"]
    assert [entry["filename"] for entry in data["urls"]] == [file.filename]
    assert data["urls"] == data["releases"]["1.10"]
    assert data["urls"][0]["url"].startswith("http://testserver/packages/")
    assert client.get(data["urls"][0]["url"].removeprefix("http://testserver")).getvalue()


@pytest.mark.parametrize("version", ["1.0", "1.0.0", "1", "v1.0", "1.00"])
def test_release_by_any_spelling_of_its_version(client, public, version):
    """1.0 and 1.0.0 are the same release; its document has no other releases."""
    add_wheel(public)
    add_wheel(public, version="2.0")

    data = get(client, f"/pypi/acme/{version}/json/")

    assert data["info"]["version"] == "1.0"
    assert [entry["filename"] for entry in data["urls"]] == ["acme-1.0-py3-none-any.whl"]
    assert "releases" not in data


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/pypi/A.c_me/json", "/pypi/a-c-me/json"),
        ("/pypi/ACME/json/?x=1", "/pypi/acme/json?x=1"),
        ("/pypi/ACME/1!1.0+a/json", "/pypi/acme/1%211.0%2Ba/json"),
        ("/i/open/pypi/ACME/json", "/i/open/pypi/acme/json"),
    ],
)
def test_other_spellings_of_a_name_are_redirected(client, public, path, target):
    """A name that is not normalised moves to the one that is, existing or not."""
    response = client.get(path)

    assert (response.status_code, response["Location"]) == (301, target)


@pytest.mark.parametrize(
    "path",
    [
        "/pypi/none/json",
        "/pypi/acme/3.0/json",
        "/pypi/acme/not-a-version/json",
        "/pypi/acme/" + "9" * 5_000 + "/json",
        "/pypi/acme/%00/json",
        "/pypi/-/json",
        "/pypi/" + "a" * 300 + "/json",
        "/i/none/pypi/acme/json",
    ],
)
def test_what_is_not_there(client, public, admin_user, basic, path):
    """Unknown names, versions and indexes are 404 with a sentence."""
    add_wheel(public)

    response = client.get(path, **basic("root", "root-password"))

    assert response.status_code == 404
    assert response["Content-Type"] == "text/plain; charset=utf-8"


def test_quarantined_project_is_not_there(client, public):
    """A quarantined project has no document."""
    add_wheel(public)
    with changing(public.pk, public.slug, SYSTEM) as change:
        Project.objects.update(status="quarantined")
        change.note("quarantine", Project.objects.get())

    assert client.get("/pypi/acme/json").status_code == 404
    assert client.get("/pypi/acme/1.0/json").status_code == 404


def test_headers_and_conditions(client, public):
    """The serial is in a header, the document may be kept and asked about, HEAD is GET without a body."""
    add_wheel(public)
    response = client.get("/pypi/acme/json")

    assert response["Content-Type"] == "application/json"
    assert response["X-PyPI-Last-Serial"] == "2"
    assert response["Cache-Control"] == "public, max-age=0, must-revalidate"
    again = client.get("/pypi/acme/json", HTTP_IF_NONE_MATCH=response["ETag"])
    assert (again.status_code, again.content, again["X-PyPI-Last-Serial"]) == (304, b"", "2")
    head = client.head("/pypi/acme/json")
    assert (head.content, head["Content-Length"]) == (b"", str(len(response.content)))
    assert Client(enforce_csrf_checks=True).post("/pypi/acme/json").status_code == 405


def test_at_most_four_queries(client, index, people, basic):
    """However many releases and files, the document takes four queries."""
    for number in range(8):
        add_wheel(index, version=f"1.{number}")
    reader = basic("reader", "reader-password")
    client.get("/simple/", **reader)

    with CaptureQueriesContext(connection) as queries:
        data = get(client, "/pypi/acme/json", **reader)
    assert len(data["releases"]) == 8
    assert len(queries) == 4


def test_owners_are_named_where_the_index_is_not_public(client, index, public_url, people, basic):
    """Members see who owns a project; a public index does not tell the world."""
    add_wheel(index)
    project = Project.objects.get()
    Role.objects.create(user=User.objects.get(username="owner"), project=project, rank="owner")
    Role.objects.create(user=User.objects.get(username="reader"), project=project, rank="reader")

    data = get(client, "/pypi/acme/json", **basic("reader", "reader-password"))

    assert data["ownership"]["roles"] == [{"role": "Owner", "user": "owner"}]
    assert data["urls"][0]["url"].startswith("https://pkg.example.org/packages/")
    Index.objects.update(visibility="public")
    assert "owner" not in str(_roles_for_everyone(client))


@pytest.fixture
def public_url(settings) -> str:
    """The operator names the public address, which then stands in every URL."""
    settings.PUBLIC_URL = "https://pkg.example.org"
    return settings.PUBLIC_URL


def _roles_for_everyone(client) -> list:
    from pkgindex.catalog.indexes import forget_index

    index = Index.objects.get()
    forget_index(index.pk, index.slug)
    return get(client, "/pypi/acme/json")["ownership"]["roles"]


def test_core_metadata_is_shown(client, public):
    """What the upload kept of the core metadata stands in `info`."""
    add_wheel(public)
    Release.objects.update(metadata={"author": "Ann", "classifiers": ["X :: Y"], "dynamic": []}, description="Long.")

    info = get(client, "/pypi/acme/json")["info"]

    assert (info["author"], info["classifiers"], info["description"]) == ("Ann", ["X :: Y"], "Long.")
    assert info["dynamic"] is None
