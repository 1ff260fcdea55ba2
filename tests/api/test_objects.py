"""What the API says about rows, and what its actions do; lists, filters, pages, query counts."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.accounts.models import Role, User
from pkgindex.accounts.services import issue
from pkgindex.audit.models import AuditEntry
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.models import File, Index, JournalEntry, Project, Release, RetiredFilename
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db


def test_file(personas, file):
    """Everything about a file, with its addresses here and for installers."""
    path = "indexes/main/projects/Acme/files/acme-1.0-py3-none-any.whl/"
    data = personas["reader"]("GET", path).json()

    digest = file.blob_id
    expected = {
        "url": "http://testserver/api/v1/indexes/main/projects/acme/files/acme-1.0-py3-none-any.whl/",
        "download": f"http://testserver/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{file.filename}",
        "index": "main",
        "project": "acme",
        "version": "1.0",
        "sha256": digest,
        "blake2b_256": file.blake2b,
        "metadata_sha256": file.metadata_blob_id,
        "size": file.size,
        "yanked": False,
        "uploaded_by": None,
    }
    assert {name: data[name] for name in expected} == expected
    assert personas["reader"]("GET", data["url"].split("/api/v1/")[1]).json() == data


def test_public_url_makes_the_addresses(personas, file, settings):
    """Behind a proxy the addresses are the ones that the operator named."""
    settings.PUBLIC_URL = "https://index.example.org"

    data = personas["reader"]("GET", "projects/").json()["results"][0]

    assert data["url"] == "https://index.example.org/api/v1/indexes/main/projects/acme/"


@pytest.mark.parametrize("version", ["1.0", "1", "1.0.0", "v1.0"])
def test_release_in_any_spelling(personas, file, version):
    """A release is found by every spelling of its version, and shows its metadata."""
    Release.objects.update(metadata={"license": "MIT"}, description="Long.")

    data = personas["reader"]("GET", f"indexes/main/projects/acme/releases/{version}/").json()

    assert (data["version"], data["metadata"], data["description"]) == ("1.0", {"license": "MIT"}, "Long.")


@pytest.mark.parametrize("version", ["2.0", "nonsense", "1.0+x"])
def test_release_that_is_not_there(personas, file, version):
    """Another version, or none at all, is 404."""
    assert personas["reader"]("GET", f"indexes/main/projects/acme/releases/{version}/").status_code == 404


def test_actions_answer_with_the_serial(personas, file):
    """A change answers with its place in the journal, a repeated one with null; deletion with nothing."""
    call, at = personas["maintainer"], "indexes/main/projects/acme/"
    path = f"{at}files/{file.filename}/"

    assert call("POST", f"{path}yank/", {"reason": "bad"}).json() == {"serial": 3}
    assert call("POST", f"{path}yank/", {"reason": "bad"}).json() == {"serial": None}
    assert call("POST", f"{path}unyank/").json() == {"serial": 4}
    assert call("POST", f"{at}releases/1.0/yank/").json() == {"serial": 5}
    assert call("POST", f"{at}releases/1.0/unyank/").json() == {"serial": 6}
    assert call("POST", f"{at}status/", {"status": "archived", "reason": "done"}).json() == {"serial": 7}
    assert call("GET", at).json()["status_reason"] == "done"
    assert call("DELETE", path).content == b""
    assert call("DELETE", path).status_code == 404
    assert RetiredFilename.objects.count() == 1
    assert call("DELETE", at).status_code == 204
    assert AuditEntry.objects.filter(actor_label="maintainer with token test", ip="127.0.0.1").count() == 9 - 1


def test_journal_is_followed_with_since(personas, file):
    """Oldest first, after a serial."""
    call = personas["reader"]
    add_wheel(file.index, "acme", "2.0")

    rows = call("GET", "journal/?since=1").json()["results"]

    assert [(row["serial"], row["action"], row["version"]) for row in rows] == [
        (2, "add file", "1.0"),
        (3, "add file", "2.0"),
    ]
    assert call("GET", "journal/?since=3").json()["results"] == []
    assert call("GET", "journal/?ordering=-serial&page_size=1").json()["results"][0]["serial"] == 3
    assert call("GET", "journal/?project=ACME&action=create+project").json()["count"] == 1


@pytest.fixture
def many(index):
    """Three projects of three versions."""
    return [add_wheel(index, name, version) for name in ("acme", "beta", "team-x") for version in ("1.0", "1.1", "2.0")]


FILTERS = [
    ("files/", 9),
    ("files/?index=main", 9),
    ("files/?index=other", 0),
    ("files/?project=Team_X", 3),
    ("files/?project=acme&version=1", 1),
    ("files/?version=nonsense", 0),
    ("files/?filename=acme-1.0-py3-none-any.whl", 1),
    ("files/?packagetype=sdist", 0),
    ("files/?yanked=true", 1),
    ("files/?yanked=false", 8),
    ("files/?search=beta-1", 2),
    ("files/?uploaded_after=2020-01-01T00:00:00Z", 9),
    ("files/?uploaded_before=2020-01-01T00:00:00Z", 0),
    ("files/?sha256=" + "0" * 64, 0),
    ("releases/?project=beta", 3),
    ("releases/?project=beta&version=2.0.0", 1),
    ("releases/?yanked=true", 0),
    ("projects/?name=ACME", 1),
    ("projects/?search=team", 1),
    ("projects/?status=archived", 1),
    ("projects/?ordering=-last_serial", 3),
    ("indexes/?visibility=private", 1),
    ("indexes/?search=mai", 1),
    ("indexes/?is_default=false", 0),
]


@pytest.mark.parametrize(("path", "count"), FILTERS)
def test_filters(personas, many, path, count):
    """Each filter of each list."""
    File.objects.filter(pk=many[0].pk).update(yanked=True)
    Project.objects.filter(normalized_name="beta").update(status="archived")

    assert personas["reader"]("GET", path).json()["count"] == count


@pytest.mark.parametrize(
    "path",
    [
        "files/?uploaded_after=yesterday",
        "files/?packagetype=egg",
        "projects/?status=gone",
        "journal/?since=x",
        "files/?filename=%00",
        "projects/?search=%00",
        "roles/?rank=king",
        "indexes/?visibility=all",
    ],
)
def test_filters_without_meaning(personas, file, path):
    """Nonsense is 400 with the field's name, and never an empty list that looks like an answer."""
    response = personas["admin"]("GET", path)

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "invalid"
    assert response.json()["errors"]


@pytest.mark.parametrize("path", ["files/?page=2", "files/?page=x", "files/?page=0", "files/?page=-1"])
def test_pages_that_are_not_there(personas, file, path):
    """A page beyond the end is 404."""
    assert personas["reader"]("GET", path).status_code == 404


def test_pages_hold_every_row_once(personas, many):
    """Rows that compare equal do not move between pages."""
    call, seen, path = personas["reader"], [], "files/?page_size=2&ordering=size"
    while path:
        page = call("GET", path).json()
        seen += [row["filename"] for row in page["results"]]
        path = page["next"] and page["next"].split("/api/v1/")[1]

    assert sorted(seen) == sorted(file.filename for file in many)


@pytest.mark.parametrize("size", ["501", "100000", "0", "-1", "x"])
def test_page_size_is_bounded(personas, many, size):
    """At most five hundred rows a page, whatever is asked."""
    assert len(personas["reader"]("GET", f"files/?page_size={size}").json()["results"]) == 9


LISTS = ["indexes/", "projects/", "releases/", "files/", "journal/", "roles/", "tokens/", "users/", "groups/", "audit/"]


@pytest.mark.parametrize(
    ("who", "path"), [("reader", path) for path in LISTS[:7]] + [("admin", path) for path in LISTS]
)
def test_lists_ask_two_queries_however_long(personas, people, many, path, who):
    """A count and a page; the caller is known from the cache."""
    for number in range(5):
        index = Index.objects.create(slug=f"i{number}", visibility="internal")
        add_wheel(index, "acme", "1.0", uploaded_by=people.owner)
        user = User.objects.create_user(f"user{number}")
        Role.objects.create(user=user, project=Project.objects.get(index=index), rank="reader")
        Role.objects.create(user=people.reader, index=index, rank="reader")
        issue(SYSTEM, None, people.reader, "more", ["read"], index)
        from django.contrib.auth.models import Group

        Group.objects.create(name=f"g{number}").user_set.add(user)
    personas[who]("GET", "whoami/")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert personas[who]("GET", path).status_code == 200

    assert len(queries) == 2, [query["sql"] for query in queries]


def test_schema_is_valid_and_without_warnings(tmp_path):
    """The OpenAPI document says everything that the API does."""
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"))

    text = (tmp_path / "schema.yaml").read_text()
    assert "/api/v1/indexes/{slug}/projects/{name}/files/{filename}/yank/" in text


def test_page_of_the_api_needs_no_network(client, db):
    """Swagger's files are ours."""
    page = client.get("/api/docs/")

    assert page.status_code == 200
    text = page.content.decode()
    assert "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle" in text
    assert "https://" not in text
    assert client.get("/api/schema/").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["v1/nothing/", "v1/tokens", "", "v2/", "v1/indexes/UPPER/", "v1/indexes/main/projects/a%00b/", "v1/roles/x/"],
)
def test_addresses_that_are_not_there(client, db, path):
    """A mistyped address is problem details as well."""
    response = client.get(f"/api/{path}")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_huge_numbers_are_not_found(personas, admin_user):
    """An id beyond the column's range is nobody's."""
    for path in (f"tokens/{10**30}/", f"roles/{10**30}/", f"groups/{10**30}/"):
        assert personas["admin"]("GET", path).status_code == 404
    assert personas["admin"]("GET", f"journal/?since={10**30}").status_code in {200, 400}


def test_index_life(personas, index):
    """An administrator creates, changes and deletes an index; what the row refuses is 400 with the reason."""
    call = personas["admin"]

    made = call("POST", "indexes/", {"slug": "next", "visibility": "internal", "is_default": True})
    assert made.status_code == 201, made.content
    assert not Index.objects.get(slug="main").is_default
    assert call("PATCH", "indexes/next/", {"title": "Next"}).json()["title"] == "Next"
    assert call("GET", "indexes/next/").json()["visibility"] == "internal"
    for wrong in ({"slug": "other"}, {"visibility": "all"}, {"max_file_bytes": 0}, {"max_file_bytes": 10**30}):
        assert call("PATCH", "indexes/next/", wrong).status_code == 400, wrong
    assert call("POST", "indexes/", {"slug": "next"}).status_code == 400
    assert call("DELETE", "indexes/next/").status_code == 204
    assert call("GET", "indexes/next/").status_code == 404
    actions = AuditEntry.objects.filter(target_type="index").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["create index", "change index", "delete index"]


def test_journal_of_a_deleted_project(personas, file):
    """Who may read the index still sees that the project went."""
    personas["owner"]("DELETE", "indexes/main/projects/acme/")

    rows = personas["reader"]("GET", "journal/?project=acme").json()["results"]

    assert rows[-1]["action"] == "remove project"
    assert personas["stranger"]("GET", "journal/").json()["count"] == 0
    assert JournalEntry.objects.count() == 3
