"""Indexes in the admin."""

import pytest
from django.urls import reverse

from pkgindex.audit.models import AuditEntry
from pkgindex.catalog.indexes import find_index
from pkgindex.catalog.models import Index
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)
ADD = "/admin/catalog/index/add/"


def form(**fields):
    """The form of an index as a browser sends it."""
    values = {
        "slug": "team",
        "title": "Team",
        "visibility": "private",
        "max_file_bytes": "1000",
        "mirror_copies": "-1",
        "delivery": "proxy",
        "mirror_policy": "rendezvous",
    }
    return {name: value for name, value in (values | fields).items() if value is not None}


def change(index):
    """The address of its form."""
    return reverse("admin:catalog_index_change", args=[index.pk])


def test_index_is_created_and_audited(root, admin_user):
    """The row is there, found by requests at once, and the audit says who made it."""
    assert find_index("team") is None

    assert root.post(ADD, form()).status_code == 302

    assert find_index("team").title == "Team"
    entry = AuditEntry.objects.get(action="create index")
    assert (entry.actor, entry.target) == (admin_user, "team")


@pytest.mark.parametrize(
    "fields",
    [
        {"slug": "Team"},
        {"slug": "-team"},
        {"slug": "a/b"},
        {"slug": ""},
        {"slug": "main"},
        {"slug": "x" * 51},
        {"visibility": "secret"},
        {"max_file_bytes": "0"},
        {"max_file_bytes": "x"},
        {"close_releases_after_days": "-1"},
        {"mirror_copies": "-2"},
        {"delivery": "pigeon"},
        {"mirror_policy": "best"},
    ],
)
def test_wrong_values_are_named_beside_their_field(root, index, fields):
    """Nothing is stored, and the form says where the fault is."""
    response = root.post(ADD, form(**fields))

    assert response.status_code == 200
    assert set(response.context["adminform"].form.errors) == set(fields)
    assert Index.objects.count() == 1


def test_changed_settings_hold_at_once(root, index):
    """Requests see the new visibility after the answer, and the audit names the change."""
    assert find_index("main").visibility.value == "private"

    root.post(change(index), form(slug=None, title="Main", visibility="public", default="on"))

    assert find_index("main").visibility.value == find_index().visibility.value == "public"
    entry = AuditEntry.objects.get(action="change index")
    assert "visibility" in entry.detail
    assert "title" not in entry.detail


def test_slug_stays(root, index):
    """Addresses in lock files do not break: a posted slug is ignored."""
    root.post(change(index), form(slug="renamed", default="on"))

    assert Index.objects.get().slug == "main"


def test_saving_keeps_the_journal_s_serial(root, index):
    """A form opened before an upload does not take the serial back."""
    add_wheel(index)
    serial = Index.objects.get().last_serial

    root.post(change(index), form(slug=None, title="New title", default="on"))

    index.refresh_from_db()
    assert (index.last_serial, index.title) == (serial, "New title")


def test_new_default_takes_the_place_of_the_old(root, index):
    """There is one default index at any time, and requests find the new one."""
    assert find_index().slug == "main"

    assert root.post(ADD, form(default="on")).status_code == 302

    assert find_index().slug == "team"
    assert list(Index.objects.filter(is_default=True).values_list("slug", flat=True)) == ["team"]


def test_index_that_holds_projects_is_not_deleted(root, index):
    """The page says why, before and at the confirmation."""
    add_wheel(index)

    for method in (root.get, root.post):
        response = method(reverse("admin:catalog_index_delete", args=[index.pk]), {"post": "yes"})
        assert response["Location"] == change(index)
        page = root.get(response["Location"])
        assert ["still holds" in str(message) for message in page.context["messages"]] == [True]
    assert Index.objects.exists()


def test_empty_index_is_deleted_and_forgotten(root, index):
    """It is confirmed, audited, and no request finds it any more."""
    assert find_index("main") is not None
    address = reverse("admin:catalog_index_delete", args=[index.pk])

    assert root.get(address).status_code == 200
    assert Index.objects.exists()
    assert root.post(address, {"post": "yes"})["Location"] == "/admin/catalog/index/"

    assert find_index("main") is None
    assert find_index() is None
    assert AuditEntry.objects.filter(action="delete index", target="main").exists()


@pytest.mark.parametrize(
    ("held", "address", "data"),
    [
        ("view", ADD, form()),
        ("add", "/admin/catalog/index/{pk}/change/", form(slug=None, title="x")),
        ("view", "/admin/catalog/index/{pk}/change/", form(slug=None, title="x")),
        ("change", "/admin/catalog/index/{pk}/delete/", {"post": "yes"}),
    ],
)
def test_each_act_takes_its_permission(staff, index, held, address, data):
    """Staff do what Django's permissions say and no more."""
    response = staff(f"{held}_index").post(address.format(pk=index.pk), data)

    assert response.status_code == 403
    assert list(Index.objects.values_list("slug", "title")) == [("main", "Main")]
