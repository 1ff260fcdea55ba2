"""The API of users, groups, roles and the audit trail."""

import pytest

from pkgindex.accounts.models import Role, User
from pkgindex.audit.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_life_of_a_user(personas, client, basic):
    """Created with a password that no answer shows, changed, deactivated, deleted."""
    call = personas["admin"]
    made = call("POST", "users/", {"username": "new", "password": "a long pass phrase", "email": "n@example.org"})
    assert made.status_code == 201
    assert "password" not in made.json()
    ask = lambda password: client.get("/api/v1/whoami/", **basic("new", password)).status_code  # noqa: E731 - a word for it
    assert ask("a long pass phrase") == 200

    assert call("PATCH", "users/new/", {"password": "another pass phrase"}).status_code == 200
    assert (ask("a long pass phrase"), ask("another pass phrase")) == (401, 200)
    assert call("PATCH", "users/new/", {"is_active": False}).json()["is_active"] is False
    assert ask("another pass phrase") == 401
    assert call("DELETE", "users/new/").status_code == 204
    assert call("GET", "users/new/").status_code == 404
    entries = AuditEntry.objects.filter(target="new").order_by("id")
    assert [entry.action for entry in entries] == ["create user", "change user", "change user", "delete user"]
    assert "phrase" not in str([entry.detail for entry in entries])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": ""},
        {"username": "reader"},
        {"username": "bad name"},
        {"username": "x" * 151},
        {"username": "new", "password": "short"},
        {"username": "new", "password": "1234567890"},
        {"username": "new", "email": "no address"},
        {"username": "new", "is_superuser": "perhaps"},
    ],
)
def test_users_that_are_not_made(personas, body):
    """400 with the reason."""
    before = User.objects.count()

    assert personas["admin"]("POST", "users/", body).status_code == 400
    assert User.objects.count() == before


def test_administrators_do_not_lock_themselves_out(personas, admin_user):
    """Nobody takes their own powers or deletes themselves by mistake."""
    call = personas["admin"]

    for body in ({"is_active": False}, {"is_superuser": False}):
        assert call("PATCH", "users/root/", body).status_code == 403
    assert call("DELETE", "users/root/").status_code == 403
    assert call("PATCH", "users/root/", {"username": "other"}).status_code == 400
    admin_user.refresh_from_db()
    assert admin_user.is_superuser


def test_life_of_a_group(personas, index, people):
    """Members by username; a role of the group opens the index to them."""
    call = personas["admin"]
    made = call("POST", "groups/", {"name": "team", "members": ["stranger"]}).json()
    assert made == {"id": made["id"], "name": "team", "members": ["stranger"]}
    grant = {"index": "main", "group": "team", "rank": "reader"}
    assert personas["owner"]("POST", "roles/", grant).status_code == 201
    assert personas["stranger"]("GET", "indexes/main/").status_code == 200
    listed = call("GET", "groups/?name=team").json()["results"]
    assert listed == [{"id": made["id"], "name": "team", "member_count": 1}]
    assert call("PATCH", f"groups/{made['id']}/", {"members": ["reader", "owner"]}).status_code == 200
    assert people.stranger.groups.count() == 0
    for wrong in ({"members": ["nobody"]}, {"name": ""}):
        assert call("PATCH", f"groups/{made['id']}/", wrong).status_code == 400
    assert call("POST", "groups/", {"name": "team"}).status_code == 400
    assert call("DELETE", f"groups/{made['id']}/").status_code == 204
    assert not Role.objects.filter(group__isnull=False).exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"index": "main", "user": "stranger", "rank": "king"}, 400),
        ({"index": "main", "rank": "reader"}, 400),
        ({"index": "main", "user": "stranger", "group": "team", "rank": "reader"}, 400),
        ({"index": "main", "user": "nobody", "rank": "reader"}, 400),
        ({"user": "stranger", "rank": "reader"}, 400),
        ({"index": "nothing", "user": "stranger", "rank": "reader"}, 404),
        ({"index": "main", "project": "nothing", "user": "stranger", "rank": "reader"}, 404),
    ],
)
def test_roles_that_are_not_granted(personas, body, status):
    """A holder, a place and a rank that exist."""
    assert personas["owner"]("POST", "roles/", body).status_code == status
    assert Role.objects.count() == 4


def test_life_of_a_role(personas, people):
    """Granted, replaced, changed, taken away; everybody sees their own."""
    call = personas["owner"]
    made = call("POST", "roles/", {"index": "main", "user": "stranger", "rank": "reader"}).json()
    assert (made["index"], made["project"], made["user"], made["group"]) == ("main", None, "stranger", None)
    again = call("POST", "roles/", {"index": "main", "user": "stranger", "rank": "uploader"}).json()
    assert (again["id"], again["rank"]) == (made["id"], "uploader")
    assert call("PATCH", f"roles/{made['id']}/", {"rank": "maintainer"}).json()["rank"] == "maintainer"
    assert personas["stranger"]("GET", "roles/").json()["results"][0]["rank"] == "maintainer"
    assert personas["stranger"]("PATCH", f"roles/{made['id']}/", {"rank": "owner"}).status_code == 403
    assert call("GET", "roles/?index=main&user=stranger").json()["count"] == 1
    assert call("GET", "roles/").json()["count"] == 5
    assert call("DELETE", f"roles/{made['id']}/").status_code == 204
    assert call("DELETE", f"roles/{made['id']}/").status_code == 404


def test_audit_trail(personas, people):
    """Newest first, filtered; for administrators."""
    personas["owner"]("POST", "roles/", {"index": "main", "user": "stranger", "rank": "reader"})

    rows = personas["admin"]("GET", "audit/?action=grant+role&actor=owner").json()["results"]

    assert len(rows) == 1
    assert (rows[0]["actor"], rows[0]["ip"], rows[0]["target"]) == (
        "owner with token test",
        "127.0.0.1",
        "main",
    )
    assert rows[0]["detail"] == {"holder": "user stranger", "rank": "reader"}
    assert personas["admin"]("GET", "audit/?since=2100-01-01T00:00:00Z").json()["count"] == 0
