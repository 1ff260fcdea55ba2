"""Who reads which page: personas, visibilities and routes."""

import pytest

from pkgindex.accounts.models import Role
from pkgindex.accounts.roles import Rank
from pkgindex.catalog.indexes import forget_index
from pkgindex.catalog.models import Index, Project
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)

ROUTES = ["/simple/", "/simple/acme/", "/i/main/simple/", "/i/main/simple/acme/", "/legacy/+simple/acme/"]
JSON_ROUTES = ["/pypi/acme/json", "/pypi/acme/1.0/json", "/i/main/pypi/acme/json"]


def auth_of(basic, persona: str) -> dict[str, str]:
    return basic(persona, f"{persona}-password") if persona else {}


@pytest.mark.parametrize("path", ROUTES + JSON_ROUTES)
@pytest.mark.parametrize(
    ("visibility", "persona", "status"),
    [
        ("public", "", 200),
        ("public", "stranger", 200),
        ("internal", "", 401),
        ("internal", "stranger", 200),
        ("internal", "reader", 200),
        ("private", "", 401),
        ("private", "stranger", 404),
        ("private", "reader", 200),
        ("private", "owner", 200),
        ("private", "root", 200),
    ],
)
def test_status_by_visibility_and_persona(client, index, people, admin_user, basic, visibility, persona, status, path):
    """Each persona sees what the visibility of the index grants, by every route alike."""
    add_wheel(index)
    Index.objects.filter(pk=index.pk).update(visibility=visibility)
    forget_index(index.pk, index.slug)

    response = client.get(path, **auth_of(basic, persona))

    assert response.status_code == status
    if status == 401:
        assert response["WWW-Authenticate"] == 'Basic realm="main"'
    if status != 200:
        assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["/simple/none/", "/simple/NONE", "/simple", "/i/main/simple/none/", "/legacy/+simple/none/", "/pypi/none/json"],
)
def test_unknown_projects_do_not_leak(client, index, people, basic, path):
    """Of a private index, who may not read it learns the same about names that exist and names that do not."""
    add_wheel(index)
    known = path.replace("none", "acme").replace("NONE", "ACME")

    for persona, status in (("", 401), ("stranger", 404)):
        there = client.get(known, **auth_of(basic, persona))
        missing = client.get(path, **auth_of(basic, persona))
        assert there.status_code == missing.status_code == status
        assert there.content.lower() == missing.content.lower().replace(b"none", b"acme")


@pytest.mark.parametrize("path", ["/i/nowhere/simple/", "/i/nowhere/simple/acme/", "/i/nowhere/pypi/acme/json"])
def test_unknown_index_looks_like_a_hidden_one(client, index, people, basic, path):
    """An index that does not exist is answered as one that the caller may not see."""
    hidden = path.replace("nowhere", "main")
    for persona in ("", "stranger"):
        there, missing = (client.get(p, **auth_of(basic, persona)) for p in (hidden, path))
        assert there.status_code == missing.status_code
        assert there.content == missing.content.replace(b"nowhere", b"main")
        assert there.get("WWW-Authenticate", "") == missing.get("WWW-Authenticate", "").replace("nowhere", "main")


def test_no_default_index(client, db):
    """Without any index there is a challenge, not a fault."""
    for path in ("/simple/", "/simple/acme/", "/pypi/acme/json"):
        response = client.get(path)
        assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Basic realm="pkgindex"')


@pytest.mark.parametrize("pattern", ["/simple/{}/", "/legacy/+simple/{}/", "/pypi/{}/json"])
def test_role_on_one_project(client, index, people, basic, pattern):
    """A stranger with a role on one project reads that project and sees neither the list nor the others."""
    add_wheel(index)
    add_wheel(index, "other")
    Role.objects.create(
        user=people.stranger, project=Project.objects.get(normalized_name="acme"), rank=Rank.READER.value
    )
    stranger = basic("stranger", "stranger-password")

    assert client.get(pattern.format("acme"), **stranger).status_code == 200
    assert client.get(pattern.format("other"), **stranger).status_code == 404
    assert client.get(pattern.format("none"), **stranger).status_code == 404
    assert client.get(pattern.format("a%00b"), **stranger).status_code == 404
    assert client.get("/simple/", **stranger).status_code == 404


def test_wrong_credentials_are_refused_on_public_pages_too(client, basic, db):
    """Who sends credentials that are wrong is told so."""
    add_wheel(Index.objects.create(slug="open", is_default=True, visibility="public"))

    response = client.get("/simple/acme/", **basic("nobody", "wrong"))

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Basic")
