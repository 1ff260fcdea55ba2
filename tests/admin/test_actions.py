"""Acts on the catalogue: confirmed, by permission, journalled and audited."""

import pytest
from django.urls import reverse

from pkgindex.audit.models import AuditEntry
from pkgindex.catalog import admin_actions
from pkgindex.catalog.models import File, JournalEntry, Project, Release
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)

# list, act, permission that it takes, reason given
ACTS = [
    ("file", "yank", "change", "bad build"),
    ("file", "delete", "delete", ""),
    ("release", "yank", "change", "bad build"),
    ("release", "delete", "delete", ""),
    ("project", "quarantine", "change", "token leaked"),
    ("project", "archive", "change", ""),
    ("project", "deprecate", "change", "use other"),
    ("project", "delete", "delete", ""),
]
MODELS = {"file": File, "release": Release, "project": Project}


def act(client, name, action, *rows, confirm=True, **more):
    """Post an act for these rows, confirmed or not."""
    data = {"action": action, "_selected_action": [row.pk for row in rows]} | more
    return client.post(reverse(f"admin:catalog_{name}_changelist"), data | ({"confirm": action} if confirm else {}))


def state():
    """What an act could change."""
    return (
        list(File.objects.order_by("pk").values_list("filename", "yanked", "yanked_reason")),
        list(Release.objects.order_by("pk").values_list("version", "yanked")),
        list(Project.objects.order_by("pk").values_list("name", "status", "status_reason")),
        JournalEntry.objects.count(),
    )


def messages(response, client):
    """The sentences that the next page shows."""
    return [str(message) for message in client.get(response["Location"]).context["messages"]]


@pytest.mark.parametrize(("name", "action", "verb", "reason"), ACTS)
def test_act_is_confirmed_then_done_and_recorded(root, index, admin_user, name, action, verb, reason):
    """The first post changes nothing and says what will happen; the second does it in the actor's name."""
    add_wheel(index, "acme", "1.0")
    row = MODELS[name].objects.get()
    before = state()

    page = act(root, name, action, row, confirm=False)

    assert page.status_code == 200
    assert state() == before
    assert str(row) in page.content.decode()
    assert page.context["operation"].consequence in page.content.decode().replace("&#x27;", "'")

    response = act(root, name, action, row, reason=reason)

    assert response.status_code == 302
    assert state()[:3] != before[:3]
    assert JournalEntry.objects.count() > before[3]
    entry = AuditEntry.objects.first()
    assert (entry.actor, entry.actor_label, entry.ip) == (admin_user, "root", "127.0.0.1")
    assert reason in str(entry.detail)
    assert messages(response, root)[0].startswith("1 ")


@pytest.mark.parametrize(("name", "action", "verb", "reason"), ACTS)
def test_act_takes_its_permission(staff, index, name, action, verb, reason):
    """Staff who may only look, or who hold the other permission, are offered and granted nothing."""
    add_wheel(index)
    row = MODELS[name].objects.get()
    other = {"change": "delete", "delete": "change"}[verb]
    before = state()
    browser = staff(f"view_{name}", f"{other}_{name}")

    act(browser, name, action, row, reason=reason)

    assert state() == before
    page = browser.get(reverse(f"admin:catalog_{name}_change", args=[row.pk])).content.decode()
    assert f'value="{action}"' not in page

    act(staff(f"view_{name}", f"{verb}_{name}"), name, action, row, reason=reason)

    assert state() != before


def test_staff_without_permission_see_nothing(staff, index):
    """A staff account alone opens no list of the catalogue."""
    add_wheel(index)

    for name in ("index", "project", "release", "file", "journalentry"):
        assert staff().get(reverse(f"admin:catalog_{name}_changelist")).status_code == 403


def test_account_that_is_no_staff_stays_out(client, people):
    """An owner of an index has roles, not the admin."""
    client.force_login(people.owner)

    assert client.get("/admin/catalog/file/")["Location"].startswith("/admin/login/")


def test_yank_is_taken_back(root, index):
    """Yanking and taking it back leave the file as it was, with both acts in the journal."""
    file = add_wheel(index)
    act(root, "file", "yank", file, reason="why")
    file.refresh_from_db()
    assert (file.yanked, file.yanked_reason) == (True, "why")

    act(root, "file", "unyank", file)

    file.refresh_from_db()
    assert (file.yanked, file.yanked_reason) == (False, "")
    assert [entry.action for entry in JournalEntry.objects.all()[:2]] == ["unyank file", "yank file"]


@pytest.mark.parametrize(
    ("action", "reason"), [("quarantine", ""), ("quarantine", "   "), ("archive", "x" * 501), ("quarantine", "a\x00b")]
)
def test_wrong_reason_is_asked_again(root, index, action, reason):
    """A missing or impossible reason shows the form with its fault and changes nothing."""
    add_wheel(index)
    before = state()

    response = act(root, "project", action, Project.objects.get(), reason=reason)

    assert response.status_code == 200
    assert response.context["form"].errors
    assert state() == before


def test_refusal_of_a_service_is_a_message_and_the_rest_is_done(root, index):
    """A reason that the service refuses is named for its row."""
    add_wheel(index)

    response = act(root, "project", "quarantine", Project.objects.get(), reason="bell \x07 rings")

    assert any("printable" in message for message in messages(response, root))
    assert Project.objects.get().status == "active"


def test_same_act_twice_changes_nothing_more(root, index):
    """Repeating an act, as a reloaded page does, is said to have needed no change."""
    file = add_wheel(index)
    act(root, "file", "yank", file, reason="why")
    before = state()

    response = act(root, "file", "yank", file, reason="why")

    assert state() == before
    assert messages(response, root)[-1] == "1 needed no change."


def test_row_that_is_gone_meanwhile_is_no_error(root, index):
    """Deleting what somebody else has just deleted answers a page."""
    file = add_wheel(index)
    File.objects.all().delete()

    assert act(root, "file", "delete", file).status_code in {200, 302}


def test_act_is_bounded(root, index, many, monkeypatch):
    """Too many rows at once, also by `select all`, are refused in a sentence and nothing is done."""
    many(index, admin_actions.MOST_ROWS + 1)
    before = state()

    response = act(root, "file", "yank", File.objects.first(), select_across="1", index="0")

    assert messages(response, root) == [f"Select at most {admin_actions.MOST_ROWS} at a time."]
    assert state() == before


def test_filtered_list_limits_the_act(root, index):
    """`Select all` of a filtered list reaches the filtered rows alone."""
    add_wheel(index, "one")
    add_wheel(index, "two")
    address = reverse("admin:catalog_project_changelist") + "?q=one"

    page = root.post(address, {"action": "archive", "_selected_action": [1], "select_across": "1", "index": "0"})
    assert [row.name for row in page.context["rows"]] == ["one"]


def test_deleting_a_project_says_how_much_goes(root, index):
    """Releases and files are counted before they are lost."""
    add_wheel(index, "acme", "1.0")
    add_wheel(index, "acme", "2.0")

    page = act(root, "project", "delete", Project.objects.get(), confirm=False).content.decode()

    assert "2 releases and 2 files" in page


def test_confirmation_is_escaped(root, index):
    """A name written by an uploader is text on the page."""
    add_wheel(index)
    Project.objects.update(name="<script>alert(1)</script>")

    page = act(root, "project", "archive", Project.objects.get(), confirm=False).content.decode()

    assert "<script>alert" not in page


def test_row_page_offers_its_acts(root, index):
    """The page of a row has a button for each act, which leads to the confirmation."""
    file = add_wheel(index)

    page = root.get(reverse("admin:catalog_file_change", args=[file.pk])).content.decode()

    for name in ("yank", "unyank", "delete"):
        assert f'name="action" value="{name}"' in page
    assert f'formaction="{reverse("admin:catalog_file_changelist")}"' in page
    assert f'name="_selected_action" value="{file.pk}"' in page
