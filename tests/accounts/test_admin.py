"""Users, groups, tokens and roles in the admin site."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.urls import reverse

from pkgindex.accounts import tokens
from pkgindex.accounts.models import Role, Token, User
from pkgindex.accounts.services import issue
from pkgindex.audit.models import AuditEntry
from pkgindex.audit.record import SYSTEM

pytestmark = pytest.mark.django_db

LISTS = ["accounts_user", "auth_group", "accounts_token", "accounts_role"]


@pytest.fixture
def root(client, admin_user):
    client.force_login(admin_user)
    return client


@pytest.fixture
def clerk(client, db) -> User:
    """Staff with every Django permission on accounts, and no superuser."""
    user = User.objects.create_user("clerk", password="clerk-password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label__in=["accounts", "auth"]))
    client.force_login(user)
    return user


def page(name: str, *args) -> str:
    return reverse(f"admin:{name}", args=args)


def token_form(holder: User, **more) -> dict:
    return {"user": holder.pk, "name": "from the admin", "scopes": ["read", "upload"], "project_patterns": "", **more}


@pytest.mark.parametrize("name", LISTS)
def test_lists_ask_the_same_queries_however_long(root, people, index, name, django_assert_num_queries):
    """Five rows more cost no query more."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert root.get(page(f"{name}_changelist")).status_code == 200
        return len(queries)

    issue(SYSTEM, None, people.owner, "x", ["read"], index)
    root.get(page(f"{name}_changelist"))
    before = count()
    for number in range(5):
        user = User.objects.create_user(f"user{number}")
        group = Group.objects.create(name=f"group{number}")
        user.groups.add(group)
        Role.objects.create(group=group, index=index, rank="reader")
        issue(SYSTEM, None, user, "x", ["read"], index)

    assert count() == before


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("term", ["owner", "main", "%", "x' OR 1=1", ""])
def test_lists_can_be_searched(root, people, name, term):
    """Any text can be searched for."""
    assert root.get(page(f"{name}_changelist"), {"q": term}).status_code == 200


def test_token_is_issued_and_shown_once(root, people, index, caplog):
    """The answer to the form has the secret; no other page, cookie, session or log has it."""
    caplog.set_level("DEBUG")
    assert root.get(page("accounts_token_add")).status_code == 200

    response = root.post(
        page("accounts_token_add"), token_form(people.owner, index=index.pk, project_patterns="a-*\nb")
    )

    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    text = response.content.decode()
    secret = text[text.index("pkgi_") :][:54]
    token = Token.objects.get()
    assert token.digest == tokens.digest(secret)
    assert (token.scopes, token.project_patterns, token.index) == (["read", "upload"], ["a-*", "b"], index)
    assert AuditEntry.objects.get().actor_label == "root in the admin"
    for later in (page("accounts_token_changelist"), page("accounts_token_change", token.pk)):
        assert secret not in root.get(later).content.decode()
    assert secret not in caplog.text
    assert secret not in str([session.get_decoded() for session in Session.objects.all()])
    assert secret not in str(root.cookies)
    assert token.digest not in root.get(page("accounts_token_change", token.pk)).content.decode()


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"scopes": []}, {"scopes": ["root"]}, {"project_patterns": "Not Normal"}, {"user": "0"}]
)
def test_token_form_with_mistakes(root, people, wrong):
    """The form comes back with its errors, and no token is made."""
    response = root.post(page("accounts_token_add"), token_form(people.owner, **wrong))

    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not Token.objects.exists()


def test_tokens_are_neither_edited_nor_deleted(root, people):
    """Posting to the pages that do not exist for tokens is refused."""
    token, _ = issue(SYSTEM, None, people.owner, "x", ["read"])

    assert root.post(page("accounts_token_change", token.pk), token_form(people.reader)).status_code == 403
    assert root.post(page("accounts_token_delete", token.pk), {"post": "yes"}).status_code == 403
    root.post(
        page("accounts_token_changelist"), {"action": "delete_selected", "_selected_action": [token.pk], "post": "yes"}
    )
    token.refresh_from_db()
    assert (token.user, token.scopes) == (people.owner, ["read"])


def test_revoking_asks_first(root, people):
    """The action shows what will end; the confirmation ends it."""
    token, _ = issue(SYSTEM, None, people.owner, "laptop", ["read"])
    action = {"action": "revoke", "_selected_action": [token.pk]}

    asked = root.post(page("accounts_token_changelist"), action)
    assert "laptop" in asked.content.decode()
    token.refresh_from_db()
    assert token.revoked_at is None
    done = root.post(page("accounts_token_changelist"), action | {"confirmed": "yes"}, follow=True)

    assert "1 tokens were revoked" in done.content.decode()
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert AuditEntry.objects.get(action="revoke token").actor_label == "root in the admin"


def test_clerk_issues_for_nobody_else(client, clerk, people, admin_user):
    """Django's permission to add tokens does not let staff act in another's name."""
    for victim in (people.owner, admin_user):
        client.post(page("accounts_token_add"), token_form(victim))
    assert not Token.objects.exists()

    client.post(page("accounts_token_add"), token_form(clerk))

    assert Token.objects.get().user == clerk


def test_clerk_does_not_rise(client, clerk, admin_user, people):
    """Nor make superusers, nor change one's account or password, nor hand out permissions."""
    form = {"username": "reader", "is_active": "on", "is_superuser": "on", "is_staff": "on"}
    form |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "email": "changed@example.org"}
    client.post(page("accounts_user_change", people.reader.pk), form)
    people.reader.refresh_from_db()
    assert people.reader.email == "changed@example.org"
    assert (people.reader.is_superuser, people.reader.is_staff) == (False, False)

    assert client.post(page("accounts_user_change", admin_user.pk), form).status_code == 403
    url = page("auth_user_password_change", admin_user.pk)
    assert client.post(url, {"password1": "stolen-pass-word", "password2": "stolen-pass-word"}).status_code == 403
    assert client.post(page("accounts_user_delete", admin_user.pk), {"post": "yes"}).status_code == 403
    group = Group.objects.create(name="powers")
    group.permissions.set(Permission.objects.all()[:3])
    assert (
        client.post(page("auth_group_change", group.pk), {"name": "powers", "members": [clerk.pk]}).status_code == 403
    )
    assert clerk.groups.count() == 0


@pytest.mark.parametrize("name", [*LISTS])
def test_staff_without_permissions(client, db, name):
    """A member of staff without Django's permissions sees nothing."""
    client.force_login(User.objects.create_user("guest", is_staff=True))

    assert client.get(page(f"{name}_changelist")).status_code == 403
    assert client.get(page(f"{name}_add")).status_code == 403


def test_viewer_of_tokens_cannot_revoke(client, people):
    """Seeing tokens is one permission, revoking them another."""
    token, _ = issue(SYSTEM, None, people.owner, "x", ["read"])
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_token"))
    client.force_login(viewer)
    assert client.get(page("accounts_token_changelist")).status_code == 200

    client.post(
        page("accounts_token_changelist"), {"action": "revoke", "_selected_action": [token.pk], "confirmed": "yes"}
    )

    token.refresh_from_db()
    assert token.revoked_at is None


@pytest.mark.django_db(transaction=True)
def test_user_pages_are_audited_and_hold_at_once(root, people, client, basic):
    """Adding, changing a password, deactivating and deleting each leave a row without values, and the caches follow."""
    from django.test import Client

    machine = Client()
    sign_in = lambda password: machine.get("/api/v1/whoami/", **basic("reader", password)).status_code  # noqa: E731 - a word for it
    assert sign_in("reader-password") == 200
    new = {"password1": "a-new-pass-word", "password2": "a-new-pass-word", "usable_password": "true"}

    assert root.post(page("auth_user_password_change", people.reader.pk), new).status_code == 302

    assert (sign_in("reader-password"), sign_in("a-new-pass-word")) == (401, 200)
    root.post(page("accounts_user_add"), {"username": "added", **new})
    issue(SYSTEM, None, people.reader, "x", ["read"])
    assert root.post(page("accounts_user_delete", people.reader.pk), {"post": "yes"}).status_code == 302
    assert sign_in("a-new-pass-word") == 401
    entries = AuditEntry.objects.exclude(action="issue token").order_by("id")
    assert [(entry.action, entry.target) for entry in entries] == [
        ("change user", "reader"),
        ("create user", "added"),
        ("delete user", "reader"),
    ]
    assert "pass-word" not in str([entry.detail for entry in entries])


def test_group_page_sets_members(root, people):
    """Members are chosen on the group's page, and the change is audited."""
    root.post(page("auth_group_add"), {"name": "team", "members": [people.reader.pk, people.owner.pk]})
    group = Group.objects.get()
    assert set(group.user_set.all()) == {people.reader, people.owner}

    root.post(page("auth_group_change", group.pk), {"name": "crew", "members": [people.owner.pk]})

    group.refresh_from_db()
    assert (group.name, list(group.user_set.all())) == ("crew", [people.owner])
    assert people.reader.groups.count() == 0
    shown = root.get(page("auth_group_change", group.pk)).content.decode()
    assert f'<option value="{people.owner.pk}" selected>' in shown
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["create group", "change group"]


def test_role_page_writes_what_the_services_write(root, people, index):
    """Granting, changing and revoking by form are audited like the API's."""
    form = {"user": people.stranger.pk, "index": index.pk, "rank": "reader"}
    assert root.post(page("accounts_role_add"), form).status_code == 302
    role = Role.objects.get(user=people.stranger)
    root.post(page("accounts_role_change", role.pk), form | {"rank": "owner"})
    root.post(page("accounts_role_delete", role.pk), {"post": "yes"})

    entries = list(AuditEntry.objects.filter(target_type="role").order_by("id"))
    assert [entry.action for entry in entries] == ["grant role", "change role", "revoke role"]
    assert {entry.target for entry in entries} == {"main"}
    assert entries[0].detail == {"holder": "user stranger", "rank": "reader"}


@pytest.mark.parametrize(
    "holders", [{}, {"user": 1, "group": 1}, {"user": 1, "index": ""}], ids=["nobody", "two holders", "nowhere"]
)
def test_role_form_with_mistakes(root, people, index, holders):
    """One holder, one place: the form says so, and the database is not asked to fail."""
    group = Group.objects.create(name="team")
    form = {"index": index.pk, "rank": "reader"}
    form |= {"user": people.stranger.pk} if "user" in holders else {}
    form |= {"group": group.pk} if "group" in holders else {}
    form |= {"index": ""} if "index" in holders else {}
    before = Role.objects.count()

    assert root.post(page("accounts_role_add"), form).status_code == 200
    assert Role.objects.count() == before
