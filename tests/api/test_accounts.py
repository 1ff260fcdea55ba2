"""The API of the caller, tokens, users, groups and roles."""

import base64
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from pkgindex.accounts import tokens
from pkgindex.accounts.models import Role, Token, User
from pkgindex.accounts.services import issue
from pkgindex.audit.models import AuditEntry
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.models import Index
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db


def test_whoami_by_token(people, index, as_user):
    """Name, token with its limits, scopes and the highest rank at each place."""
    group = Group.objects.create(name="team")
    people.reader.groups.add(group)
    Role.objects.create(group=group, index=index, rank="uploader")
    Role.objects.create(user=people.reader, project=add_wheel(index).release.project, rank="owner")
    until = timezone.now().replace(microsecond=0) + timedelta(days=1)
    call = as_user(people.reader, ["read"], index=index, project_patterns=["a*"], expires_at=until)

    data = call("GET", "whoami/").json()

    assert data["username"] == "reader"
    assert data["scopes"] == ["read"]
    token = data["token"]
    assert (token["name"], token["index"], token["project_patterns"]) == ("test", "main", ["a*"])
    assert token["expires_at"].startswith(f"{until:%Y-%m-%dT%H:%M:%S}")
    assert data["ranks"] == [
        {"index": "main", "project": None, "rank": "uploader"},
        {"index": "main", "project": "acme", "rank": "owner"},
    ]


def test_whoami_by_password_and_by_session(client, people, basic):
    """A password and a browser session have every scope and no token."""
    by_password = client.get("/api/v1/whoami/", **basic("owner", "owner-password")).json()
    client.force_login(people.owner)
    by_session = client.get("/api/v1/whoami/").json()

    assert by_password == by_session
    assert by_session["token"] is None
    assert by_session["scopes"] == ["read", "upload", "manage", "admin"]


def test_session_writes_need_a_csrf_token(people):
    """Another site cannot act through the browser of somebody who is signed in."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.owner)
    body = {"name": "x", "scopes": ["read"]}

    refused = client.post("/api/v1/tokens/", body, content_type="application/json")
    client.get("/admin/login/")
    client.cookies["csrftoken"] = "a" * 32
    allowed = client.post("/api/v1/tokens/", body, content_type="application/json", headers={"x-csrftoken": "a" * 32})

    assert refused.status_code == 403
    assert refused.json()["code"] == "forbidden"
    assert allowed.status_code == 201


HEADERS = [
    "Basic",
    "Basic !!!",
    "Basic " + base64.b64encode(b"no colon").decode(),
    "Basic " + base64.b64encode(b"\xff:\xff").decode(),
    "Basic " + base64.b64encode(b"owner:wrong").decode(),
    "Basic " + base64.b64encode(b"__token__:pypi-AgEIcHlwaS5vcmc").decode(),
    "Bearer x",
    "Bearer " + tokens.seal(1),
    "token",
    "Negotiate abc",
    "\xe9\xe9",
]


@pytest.mark.parametrize("path", ["/api/v1/whoami/", "/api/v1/projects/", "/api/v1/users/"])
@pytest.mark.parametrize("header", HEADERS)
def test_wrong_credentials_are_401_with_a_challenge(client, people, header, path):
    """Never 500, never let through as anonymous, not even to what is public."""
    Index.objects.update(visibility="public")

    response = client.get(path, HTTP_AUTHORIZATION=header)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Basic realm="pkgindex"'
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body | {"detail": ""} == {
        "type": "about:blank",
        "title": "invalid credentials",
        "status": 401,
        "detail": "",
        "code": "invalid_credentials",
    }


@pytest.mark.django_db(transaction=True)
def test_life_of_a_token(people, index, as_user):
    """Issued with its secret once, used, rotated, revoked; each answer but two is without the secret."""
    call = as_user(people.owner)
    made = call("POST", "tokens/", {"name": "ci", "scopes": ["read"], "index": "main", "project_patterns": ["a-*"]})
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    secret, pk = made.json()["secret"], made.json()["id"]
    client = Client()
    assert client.get("/api/v1/whoami/", HTTP_AUTHORIZATION=f"Bearer {secret}").json()["token"]["id"] == pk
    assert "secret" not in call("GET", f"tokens/{pk}/").json()
    assert "secret" not in str(call("GET", "tokens/").json())
    assert call("GET", "tokens/?revoked=false").json()["count"] == 2

    rotated = call("POST", f"tokens/{pk}/rotate/").json()

    assert rotated["secret"] != secret
    assert rotated["project_patterns"] == ["a-*"]
    refused = client.get("/api/v1/whoami/", HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert refused.status_code == 401
    assert "revoked on" in refused.json()["detail"]
    assert call("GET", "tokens/?revoked=true").json()["count"] == 1
    assert call("POST", f"tokens/{rotated['id']}/revoke/").json()["revoked_at"] is not None
    assert call("DELETE", f"tokens/{rotated['id']}/").status_code == 204
    assert Token.objects.count() == 3
    assert call("POST", f"tokens/{rotated['id']}/rotate/").status_code == 400


def test_rotation_with_overlap(people, as_user):
    """Both secrets work meanwhile."""
    call = as_user(people.owner)
    made = call("POST", "tokens/", {"name": "ci", "scopes": ["read"]}).json()

    call("POST", f"tokens/{made['id']}/rotate/", {"overlap_hours": 24})

    headers = {"authorization": f"Bearer {made['secret']}"}
    assert Client().get("/api/v1/whoami/", headers=headers).status_code == 200
    assert call("POST", f"tokens/{made['id']}/rotate/", {"overlap_hours": 999}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        {"name": "x"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": "read"},
        {"name": "x", "scopes": ["everything"]},
        {"name": "", "scopes": ["read"]},
        {"name": "x" * 101, "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "index": "secret"},
        {"name": "x", "scopes": ["read"], "index": "nothing"},
        {"name": "x", "scopes": ["read"], "project_patterns": ["Not Normal"]},
        {"name": "x", "scopes": ["read"], "project_patterns": ["a"] * 101},
        {"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["read"], "expires_at": "tomorrow"},
        {"name": "x", "scopes": ["read"], "user": "reader"},
        {"name": "x", "scopes": ["read"], "user": "nobody"},
    ],
)
def test_tokens_that_are_not_issued(people, as_user, body):
    """400 with a sentence; an index that one may not see is the same as none."""
    Index.objects.create(slug="secret")

    response = as_user(people.owner)("POST", "tokens/", body)

    assert response.status_code == 400
    assert response.json()["detail"].endswith((".", "says where."))
    assert Token.objects.count() == 1


def test_unreadable_body(client, people, basic):
    """Broken JSON and an unknown type of body are named."""
    headers = basic("owner", "owner-password")

    broken = client.post("/api/v1/tokens/", b"{", content_type="application/json", **headers)
    odd = client.post("/api/v1/tokens/", b"x", content_type="text/csv", **headers)
    method = client.put("/api/v1/tokens/", b"{}", content_type="application/json", **headers)

    assert (broken.status_code, broken.json()["code"]) == (400, "parse_error")
    assert (odd.status_code, odd.json()["code"]) == (415, "unsupported_media_type")
    assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
    assert {broken["Content-Type"], odd["Content-Type"], method["Content-Type"]} == {"application/problem+json"}


def test_narrow_token_hands_on_nothing_wider(people, index, as_user):
    """Through the API too: neither scopes nor reach nor life grow, and wider tokens cannot be rotated."""
    wide, _ = issue(SYSTEM, None, people.owner, "wide", ["read", "admin"], index)
    call = as_user(people.owner, ["admin"], index=index)

    assert call("POST", "tokens/", {"name": "x", "scopes": ["admin"], "index": "main"}).status_code == 201
    assert call("POST", "tokens/", {"name": "x", "scopes": ["admin"]}).status_code == 403
    assert call("POST", "tokens/", {"name": "x", "scopes": ["read"], "index": "main"}).status_code == 403
    assert call("POST", f"tokens/{wide.pk}/rotate/").status_code == 403


def test_token_without_admin_may_revoke_itself_only(people, as_user):
    """A leaked secret can be ended by whoever finds it."""
    other, _ = issue(SYSTEM, None, people.reader, "other", ["read"])
    call = as_user(people.reader, ["upload"])
    own = Token.objects.get(name="test")

    assert call("DELETE", f"tokens/{other.pk}/").status_code == 403
    assert call("DELETE", f"tokens/{own.pk}/").status_code == 204
    own.refresh_from_db()
    assert own.revoked_at is not None


def test_administrator_manages_tokens_of_others(personas, people):
    """Listing by user, issuing for a user, revoking."""
    call = personas["admin"]
    made = call("POST", "tokens/", {"name": "robot", "scopes": ["upload"], "user": "uploader"}).json()

    assert made["user"] == "uploader"
    assert call("GET", "tokens/?user=uploader").json()["count"] == 2
    assert call("POST", f"tokens/{made['id']}/revoke/").status_code == 200
    assert personas["owner"]("GET", "tokens/?user=uploader").json()["count"] == 0


def test_nothing_of_a_secret_reaches_log_or_audit(personas, caplog):
    """Secrets are in one answer and nowhere else."""
    caplog.set_level("DEBUG")
    secret = personas["owner"]("POST", "tokens/", {"name": "x", "scopes": ["read"]}).json()["secret"]

    assert secret not in caplog.text
    assert secret not in str(list(AuditEntry.objects.values()))
    assert secret not in str(list(Token.objects.values()))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 100_000, 400),
        (b'{"name": "\\ud800", "scopes": ["read"]}', 400),
        (b'{"name": "a\\u0000b", "scopes": ["read"]}', 400),
        (b'{"name": ' + b"9" * 10_000 + b"}", 400),
        (b'{"name": NaN}', 400),
        (b"\xff\xfe", 400),
        (b'"' + b"x" * (1 << 20) + b'"', 413),
    ],
    ids=["deep", "surrogate", "nul", "digits", "nan", "not utf-8", "large"],
)
def test_hostile_bodies(client, people, basic, body, status):
    """A body that a parser chokes on is the caller's mistake."""
    response = client.post("/api/v1/tokens/", body, content_type="application/json", **basic("owner", "owner-password"))

    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert not Token.objects.exists()


def test_user_who_was_deleted_a_moment_ago(people, as_user, settings):
    """While the identity is still cached, requests are answered and never fail."""
    call = as_user(people.stranger)
    assert call("GET", "whoami/").status_code == 200
    User.objects.filter(pk=people.stranger.pk).delete()

    assert call("GET", "whoami/").status_code == 200
    assert call("GET", "projects/").json()["count"] == 0
    assert call("POST", "tokens/", {"name": "x", "scopes": ["read"]}).status_code == 400
