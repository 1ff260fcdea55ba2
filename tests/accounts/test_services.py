"""Issuing, rotating, revoking; granting roles: what is refused, what is recorded."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from pkgindex.accounts import tokens
from pkgindex.accounts.grants import grant_role, revoke_role
from pkgindex.accounts.models import Role, Token
from pkgindex.accounts.roles import Rank, Scope, Who
from pkgindex.accounts.services import issue, revoke, rotate
from pkgindex.accounts.whois import who_of_user
from pkgindex.audit.models import AuditEntry
from pkgindex.audit.record import SYSTEM, Actor
from pkgindex.catalog.models import Index
from pkgindex.errors import Forbidden, InvalidRequest, NotFound

pytestmark = pytest.mark.django_db

SOON = timezone.now() + timedelta(days=1)
LATER = SOON + timedelta(days=1)


def through(user, scopes=("read", "upload", "manage", "admin"), *args, **limits) -> Who:
    """The user as a caller through a new token."""
    token, _ = issue(SYSTEM, None, user, "mine", scopes, *args, **limits)
    return who_of_user(user, token)


def test_issue_stores_a_digest_and_an_audit_row(people, index):
    """The row has everything but the secret; the audit row says who, for whom and with which limits."""
    actor = Actor(people.owner.pk, "owner", "192.0.2.1")
    token, secret = issue(
        actor, who_of_user(people.owner), people.owner, " ci  of\tteam ", ["upload", "read"], index, ["a", "a", "b-*"]
    )

    token.refresh_from_db()
    assert token.digest == tokens.digest(secret)
    assert (token.name, token.hint) == ("ci of team", secret[:12])
    assert (token.scopes, token.project_patterns) == (["read", "upload"], ["a", "b-*"])
    entry = AuditEntry.objects.get(action="issue token")
    assert (entry.actor_label, entry.target, entry.detail["index"]) == ("owner", "owner/ci of team", "main")
    assert secret not in str(entry.detail)


INVALID = [
    {"name": ""},
    {"name": "  "},
    {"name": "x" * 101},
    {"name": "a\0b"},
    {"scopes": []},
    {"scopes": ["root"]},
    {"scopes": ["READ"]},
    {"project_patterns": ["Acme"]},
    {"project_patterns": ["a--b"]},
    {"project_patterns": ["a_b"]},
    {"project_patterns": [""]},
    {"project_patterns": ["-a"]},
    {"project_patterns": ["a[b]"]},
    {"project_patterns": ["a?"]},
    {"project_patterns": ["a\n"]},
    {"project_patterns": ["a" * 201]},
    {"project_patterns": [f"p{number}" for number in range(101)]},
    {"expires_at": timezone.now() - timedelta(seconds=1)},
    {"expires_at": datetime(2100, 1, 1)},  # noqa: DTZ001 - without a zone on purpose
]


@pytest.mark.parametrize("wrong", INVALID, ids=[f"{next(iter(wrong))}-{place}" for place, wrong in enumerate(INVALID)])
def test_invalid_limits(people, wrong):
    """Limits without meaning are refused with a sentence, and nothing is written."""
    given = {"name": "ci", "scopes": ["read"], **wrong}

    with pytest.raises(InvalidRequest, match=r"\.$"):
        issue(SYSTEM, None, people.owner, given.pop("name"), given.pop("scopes"), **given)

    assert not Token.objects.exists()
    assert not AuditEntry.objects.exists()


def test_inactive_user_gets_no_token(people):
    """A token that could never be used is not made."""
    people.reader.is_active = False

    with pytest.raises(InvalidRequest, match="not active"):
        issue(SYSTEM, None, people.reader, "x", ["read"])


# What the caller's token has, what is asked for, and whether that is within it. "I" stands for the index.
ESCALATION = [
    ({}, {}, True),
    ({}, {"scopes": ["read", "admin"]}, True),
    ({"scopes": ["admin", "read"]}, {"scopes": ["read"]}, True),
    ({"scopes": ["admin", "read"]}, {"scopes": ["upload"]}, False),
    ({"scopes": ["admin"]}, {"scopes": ["read"]}, False),
    ({"scopes": ["read"]}, {"scopes": ["read"]}, False),
    ({"scopes": ["read", "upload", "manage"]}, {"scopes": ["read"]}, False),
    ({"index": "I"}, {"index": "I"}, True),
    ({"index": "I"}, {}, False),
    ({"index": "I"}, {"index": "other"}, False),
    ({}, {"index": "I"}, True),
    ({"project_patterns": ["team-*"]}, {}, False),
    ({"project_patterns": ["team-*"]}, {"project_patterns": ["team-*"]}, True),
    ({"project_patterns": ["team-*"]}, {"project_patterns": ["team-a*", "team-b"]}, True),
    ({"project_patterns": ["team-*"]}, {"project_patterns": ["team-a", "acme"]}, False),
    ({"project_patterns": ["team-*"]}, {"project_patterns": ["*"]}, False),
    ({"project_patterns": ["team-*"]}, {"project_patterns": ["te*m-x"]}, False),
    ({"project_patterns": ["a*z", "b"]}, {"project_patterns": ["a*yz", "b"]}, True),
    ({"project_patterns": ["a*z"]}, {"project_patterns": ["a*"]}, False),
    ({"expires_at": SOON}, {}, False),
    ({"expires_at": SOON}, {"expires_at": LATER}, False),
    ({"expires_at": SOON}, {"expires_at": SOON}, True),
]


@pytest.mark.parametrize(("held", "asked", "allowed"), ESCALATION)
@pytest.mark.parametrize("persona", ["owner", "root"])
def test_no_token_hands_on_more_than_it_has(people, admin_user, index, persona, held, asked, allowed):
    """Neither scopes nor reach nor life grow by issuing, for administrators neither."""
    user = admin_user if persona == "root" else people.owner
    indexes = {"I": index, "other": Index.objects.create(slug="other")}
    held, asked = ({**given, "index": indexes.get(given.get("index"))} for given in (held, asked))
    who = through(user, held.pop("scopes", ["read", "upload", "manage", "admin"]), **held)
    asked_scopes = asked.pop("scopes", ["admin"])

    if allowed:
        issue(SYSTEM, who, user, "next", asked_scopes, **asked)
    else:
        with pytest.raises(Forbidden):
            issue(SYSTEM, who, user, "next", asked_scopes, **asked)


def test_tokens_of_others(people, admin_user):
    """Only a superuser issues, rotates or revokes for somebody else."""
    token, _ = issue(SYSTEM, None, people.reader, "x", ["read"])
    for work in (
        lambda who: issue(SYSTEM, who, people.reader, "y", ["read"]),
        lambda who: rotate(SYSTEM, who, token),
        lambda who: revoke(SYSTEM, who, token),
    ):
        with pytest.raises(Forbidden, match="Only administrators"):
            work(who_of_user(people.owner))
    token.refresh_from_db()
    assert token.revoked_at is None

    made, _ = rotate(SYSTEM, who_of_user(admin_user), token)

    assert made.user == people.reader


def test_rotation_keeps_limits_and_ends_the_old_token(people, index):
    """The successor is equal but for its secret; the old one is revoked in the same step."""
    old, old_secret = issue(SYSTEM, None, people.owner, "ci", ["read"], index, ["a-*"], SOON)

    new, secret = rotate(SYSTEM, who_of_user(people.owner), old)

    assert secret != old_secret
    for name in ("user_id", "name", "scopes", "index_id", "project_patterns", "expires_at"):
        assert getattr(new, name) == getattr(old, name)
    old.refresh_from_db()
    assert old.revoked_at is not None
    assert AuditEntry.objects.get(action="rotate token").detail["successor"] == new.pk
    with pytest.raises(InvalidRequest, match="revoked or has expired"):
        rotate(SYSTEM, None, old)
    assert Token.objects.count() == 2


@pytest.mark.parametrize(("expires", "hours", "expected"), [(None, 1, 1), (LATER, 2, 2), ("1h", 24, 1)])
def test_rotation_with_overlap(people, expires, hours, expected):
    """The old secret goes on for the overlap, and never longer than it would have lived."""
    now = timezone.now()
    expires = now + timedelta(hours=1) if expires == "1h" else expires
    old, _ = issue(SYSTEM, None, people.owner, "ci", ["read"], expires_at=expires)

    rotate(SYSTEM, None, old, overlap_hours=hours)

    old.refresh_from_db()
    assert old.revoked_at is None
    assert abs((old.expires_at - now) - timedelta(hours=expected)) < timedelta(seconds=30)


@pytest.mark.parametrize("hours", [-1, 169])
def test_overlap_has_bounds(people, hours):
    """An overlap is at most a week."""
    old, _ = issue(SYSTEM, None, people.owner, "ci", ["read"])

    with pytest.raises(InvalidRequest, match="overlap"):
        rotate(SYSTEM, None, old, overlap_hours=hours)


def test_rotation_does_not_widen(people):
    """A narrow token cannot rotate a wider one into its hands; the wide one lives on."""
    wide, _ = issue(SYSTEM, None, people.owner, "wide", ["read", "admin", "upload"])
    who = through(people.owner, ["admin"])

    with pytest.raises(Forbidden):
        rotate(SYSTEM, who, wide)

    wide.refresh_from_db()
    assert wide.revoked_at is None


def test_revoking_twice_changes_nothing(people):
    """The first time counts, and is audited once."""
    token, _ = issue(SYSTEM, None, people.owner, "ci", ["read"])
    assert revoke(SYSTEM, None, token)
    token.refresh_from_db()
    first = token.revoked_at

    assert not revoke(SYSTEM, None, token)

    token.refresh_from_db()
    assert token.revoked_at == first
    assert AuditEntry.objects.filter(action="revoke token").count() == 1


def test_a_token_may_end_itself(people):
    """Whatever its scopes; another token it may not."""
    token, _ = issue(SYSTEM, None, people.reader, "leaked", ["read"])
    other, _ = issue(SYSTEM, None, people.reader, "other", ["read"])
    who = who_of_user(people.reader, token)

    with pytest.raises(Forbidden, match="scope 'admin'"):
        revoke(SYSTEM, who, other)
    assert revoke(SYSTEM, who, token)


@pytest.mark.parametrize(
    ("persona", "error"),
    [
        ("stranger", NotFound),
        ("reader", Forbidden),
        ("uploader", Forbidden),
        ("maintainer", Forbidden),
        ("owner", None),
    ],
)
def test_owners_grant_roles(people, index, persona, error):
    """Only an owner changes who may do what; to a stranger a private index is not there."""
    who = who_of_user(getattr(people, persona))
    place = index.view().place
    if error:
        with pytest.raises(error):
            grant_role(SYSTEM, who, place, "index 'main'", people.stranger, "reader")
        assert not Role.objects.filter(user=people.stranger).exists()
        return

    role = grant_role(SYSTEM, who, place, "index 'main'", people.stranger, "reader")
    assert grant_role(SYSTEM, who, place, "index 'main'", people.stranger, "reader") == role
    assert grant_role(SYSTEM, who, place, "index 'main'", people.stranger, "owner") == role

    assert Role.objects.get(user=people.stranger).rank == Rank.OWNER.value
    assert revoke_role(SYSTEM, who, place, "index 'main'", role)
    assert not revoke_role(SYSTEM, who, place, "index 'main'", role)
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["grant role", "change role", "revoke role"]


def test_owner_needs_the_scope_admin(people, index):
    """An owner's token without the scope grants nothing, and is told which scope it needs."""
    who = through(people.owner, [scope.value for scope in Scope if scope is not Scope.ADMIN])

    with pytest.raises(Forbidden, match="scope 'admin' is needed"):
        grant_role(SYSTEM, who, index.view().place, "index 'main'", people.stranger, "reader")


def test_groups_hold_roles_too(people, index):
    """A group is granted like a user; an unknown rank is refused."""
    group = Group.objects.create(name="team")
    role = grant_role(SYSTEM, None, index.view().place, "index 'main'", group, "uploader")

    assert (role.group, role.user) == (group, None)
    with pytest.raises(InvalidRequest, match="rank is one of"):
        grant_role(SYSTEM, None, index.view().place, "index 'main'", group, "king")
