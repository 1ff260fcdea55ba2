"""Every route as every persona, on a private index: who gets in, and what the others are told."""

import pytest
from django.contrib.auth.models import Group

from pkgindex.accounts.models import Role, Token, User
from pkgindex.accounts.services import issue
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.models import Index, JournalEntry, Project

pytestmark = pytest.mark.django_db

PERSONAS = ("anonymous", "stranger", "reader", "uploader", "maintainer", "owner", "admin")
ACME = "indexes/main/projects/acme/"
RELEASE = f"{ACME}releases/1.0/"
FILE = f"{ACME}files/acme-1.0-py3-none-any.whl"

SEE = (401, 404, 200, 200, 200, 200, 200)
MANAGE = (401, 404, 403, 403, 200, 200, 200)
DELETE = (401, 404, 403, 403, 204, 204, 204)
SIGNED_IN = (401, 200, 200, 200, 200, 200, 200)
ISSUE = (401, 201, 201, 201, 201, 201, 201)
OPERATE = (401, 403, 403, 403, 403, 403, 200)
OPERATE_CREATE = (401, 403, 403, 403, 403, 403, 201)
OPERATE_DELETE = (401, 403, 403, 403, 403, 403, 204)

TABLE = [
    ("GET", "whoami/", None, SIGNED_IN),
    ("GET", "tokens/", None, SIGNED_IN),
    ("POST", "tokens/", {"name": "x", "scopes": ["read"]}, ISSUE),
    ("POST", "tokens/", {"name": "x", "scopes": ["read"], "user": "keeper"}, (401, 400, 400, 400, 400, 400, 201)),
    ("GET", "tokens/{token}/", None, (401, 404, 404, 404, 404, 404, 200)),
    ("DELETE", "tokens/{token}/", None, (401, 404, 404, 404, 404, 404, 204)),
    ("POST", "tokens/{token}/revoke/", None, (401, 404, 404, 404, 404, 404, 200)),
    ("POST", "tokens/{token}/rotate/", {}, (401, 404, 404, 404, 404, 404, 201)),
    ("GET", "indexes/", None, SIGNED_IN),
    ("POST", "indexes/", {"slug": "next"}, OPERATE_CREATE),
    ("GET", "indexes/main/", None, SEE),
    ("PATCH", "indexes/main/", {"title": "New"}, (401, 404, 403, 403, 403, 200, 200)),
    ("DELETE", "indexes/main/", None, (401, 404, 403, 403, 403, 403, 400)),
    ("GET", "indexes/nothing/", None, (401, 404, 404, 404, 404, 404, 404)),
    ("GET", "projects/", None, SIGNED_IN),
    ("GET", "releases/", None, SIGNED_IN),
    ("GET", "files/", None, SIGNED_IN),
    ("GET", "journal/", None, SIGNED_IN),
    ("GET", ACME, None, SEE),
    ("GET", RELEASE, None, SEE),
    ("GET", f"{FILE}/", None, SEE),
    ("GET", "indexes/main/projects/nothing/", None, (401, 404, 404, 404, 404, 404, 404)),
    ("DELETE", "indexes/main/projects/nothing/", None, (401, 404, 404, 404, 404, 404, 404)),
    ("POST", f"{ACME}status/", {"status": "archived"}, MANAGE),
    ("POST", f"{RELEASE}yank/", {"reason": "bad"}, MANAGE),
    ("POST", f"{RELEASE}unyank/", None, MANAGE),
    ("POST", f"{FILE}/yank/", {}, MANAGE),
    ("POST", f"{FILE}/unyank/", None, MANAGE),
    ("DELETE", ACME, None, DELETE),
    ("DELETE", RELEASE, None, DELETE),
    ("DELETE", f"{FILE}/", None, DELETE),
    ("GET", "roles/", None, SIGNED_IN),
    ("GET", "roles/{role}/", None, (401, 404, 404, 404, 404, 200, 200)),
    ("POST", "roles/", {"index": "main", "user": "keeper", "rank": "owner"}, (401, 404, 403, 403, 403, 201, 201)),
    (
        "POST",
        "roles/",
        {"index": "main", "project": "acme", "user": "keeper", "rank": "owner"},
        (401, 404, 403, 403, 403, 201, 201),
    ),
    ("PATCH", "roles/{role}/", {"rank": "owner"}, (401, 404, 404, 404, 404, 200, 200)),
    ("DELETE", "roles/{role}/", None, (401, 404, 404, 404, 404, 204, 204)),
    ("GET", "users/", None, OPERATE),
    ("POST", "users/", {"username": "new"}, OPERATE_CREATE),
    ("GET", "users/keeper/", None, OPERATE),
    ("PATCH", "users/keeper/", {"email": "k@example.org"}, OPERATE),
    ("DELETE", "users/keeper/", None, OPERATE_DELETE),
    ("GET", "groups/", None, OPERATE),
    ("POST", "groups/", {"name": "new"}, OPERATE_CREATE),
    ("GET", "groups/{group}/", None, OPERATE),
    ("PATCH", "groups/{group}/", {"members": ["keeper"]}, OPERATE),
    ("DELETE", "groups/{group}/", None, OPERATE_DELETE),
    ("GET", "audit/", None, OPERATE),
]
CASES = [
    pytest.param(method, path, body, persona, expected[place], id=f"{method} {path} {persona}")
    for method, path, body, expected in TABLE
    for place, persona in enumerate(PERSONAS)
]


@pytest.fixture
def keeper(index) -> User:
    """Somebody with a token and a role, for the others to ask about."""
    user = User.objects.create_user("keeper", password="keeper-password")
    Role.objects.create(user=user, index=index, rank="reader")
    issue(SYSTEM, None, user, "kept", ["read"])
    return user


@pytest.mark.parametrize(("method", "path", "body", "persona", "expected"), CASES)
def test_access(personas, file, keeper, method, path, body, persona, expected):
    """The status is the table's; a refusal is problem details and changes nothing."""
    ids = {
        "token": Token.objects.get(user=keeper).pk,
        "role": Role.objects.get(user=keeper).pk,
        "group": Group.objects.create(name="team").pk,
    }
    before = JournalEntry.objects.count()

    response = personas[persona](method, path.format(**ids), body)

    assert response.status_code == expected, response.content
    if expected >= 400:
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == expected
        assert response["Cache-Control"] == "no-store"
        assert JournalEntry.objects.count() == before
    if expected == 401:
        assert response["WWW-Authenticate"] == 'Basic realm="pkgindex"'


READ_ROUTES = [ACME, RELEASE, f"{FILE}/", "indexes/main/"]


@pytest.mark.parametrize("path", [*READ_ROUTES, "projects/", "releases/", "files/", "journal/", "indexes/"])
@pytest.mark.parametrize(
    ("visibility", "persona", "expected"),
    [
        ("public", "anonymous", 200),
        ("public", "stranger", 200),
        ("internal", "anonymous", 401),
        ("internal", "stranger", 200),
    ],
)
def test_visibility(personas, file, path, visibility, persona, expected):
    """A public index is read by everyone, an internal one by everyone who signs in."""
    Index.objects.update(visibility=visibility)

    response = personas[persona]("GET", path)

    assert response.status_code == expected
    if "indexes/main" not in path and expected == 200:
        assert response.json()["count"] == (2 if path == "journal/" else 1)


@pytest.mark.parametrize("path", ["projects/?index=main", "files/?index=nothing", "releases/?index=main"])
def test_anonymous_list_of_what_is_not_public(personas, file, path):
    """Where there is something public elsewhere, a list of a private or unknown index still asks for credentials."""
    Index.objects.create(slug="open", visibility="public")

    assert personas["anonymous"]("GET", path).status_code == 401
    assert personas["anonymous"]("GET", "projects/").json()["count"] == 0


@pytest.mark.parametrize("path", ["projects/", "releases/", "files/", "journal/", "indexes/"])
def test_stranger_sees_empty_lists(personas, file, path):
    """Nothing of a private index appears in the lists of somebody without a role."""
    assert personas["stranger"]("GET", path).json()["count"] == 0


SCOPES = [
    ("GET", ACME, ["upload", "manage", "admin"], "read"),
    ("GET", "files/", ["upload", "manage", "admin"], "read"),
    ("GET", "tokens/", ["admin"], "read"),
    ("POST", f"{FILE}/yank/", ["read", "upload", "admin"], "manage"),
    ("DELETE", RELEASE, ["read", "upload", "admin"], "manage"),
    ("POST", "tokens/", ["read", "upload", "manage"], "admin"),
    ("POST", "roles/", ["read", "upload", "manage"], "admin"),
    ("PATCH", "indexes/main/", ["read", "upload", "manage"], "admin"),
    ("GET", "users/", ["read", "upload", "manage"], "admin"),
    ("GET", "audit/", ["read", "upload", "manage"], "admin"),
]


@pytest.mark.parametrize(("method", "path", "scopes", "needed"), SCOPES)
def test_missing_scope_is_named(admin_user, file, as_user, method, path, scopes, needed):
    """Even an administrator's token does only what its scopes say, and is told what is missing."""
    body = {"name": "x", "scopes": ["read"], "index": "main", "user": "root", "rank": "owner"}

    response = as_user(admin_user, scopes)(method, path, body if method != "GET" else None)

    assert response.status_code == 403
    assert f"The scope '{needed}' is needed." in response.json()["detail"]


def test_token_of_another_index_sees_nothing(people, file, as_user):
    """A token that is limited to one index does not reach into another, whatever the user's rank there."""
    other = Index.objects.create(slug="other")
    call = as_user(people.owner, index=other)

    assert call("GET", ACME).status_code == 404
    assert call("GET", "files/").json()["count"] == 0
    assert call("DELETE", ACME).status_code == 404
    assert Project.objects.exists()


def test_operator_through_a_limited_token(admin_user, index, as_user):
    """An administrator's token for one index is no key to users, groups, the audit trail or new indexes."""
    call = as_user(admin_user, index=index)

    for method, path, body in (
        ("GET", "users/", None),
        ("POST", "users/", {"username": "x", "is_superuser": True}),
        ("GET", "audit/", None),
        ("POST", "indexes/", {"slug": "x"}),
    ):
        response = call(method, path, body)
        assert response.status_code == 403
        assert "limited" in response.json()["detail"]
    assert call("PATCH", "indexes/main/", {"title": "x"}).status_code == 200


def test_owner_of_one_project_only(people, file, as_user):
    """A role on a project opens that project of a private index, and neither the index nor its other projects."""
    from tests.support.catalogue import add_wheel

    other = add_wheel(file.index, "other")
    Role.objects.create(user=people.stranger, project=file.release.project, rank="owner")
    call = as_user(people.stranger)

    assert call("GET", ACME).status_code == 200
    assert call("GET", "indexes/main/").status_code == 404
    assert call("GET", "indexes/main/projects/other/").status_code == 404
    assert [row["filename"] for row in call("GET", "files/").json()["results"]] == [file.filename]
    assert {row["project"] for row in call("GET", "journal/").json()["results"]} == {"acme"}
    assert call("POST", f"{FILE}/yank/", {}).status_code == 200
    grant = {"index": "main", "project": "acme", "user": "reader", "rank": "uploader"}
    assert call("POST", "roles/", grant).status_code == 201
    assert call("POST", "roles/", grant | {"project": "other"}).status_code == 404
    assert call("POST", "roles/", {"index": "main", "user": "reader", "rank": "owner"}).status_code == 404
    assert other.release.project.roles.count() == 0
