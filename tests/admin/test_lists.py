"""Lists of the admin: constant cost, searching, links, nothing to edit."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pkgindex.audit.models import AuditEntry
from pkgindex.audit.record import SYSTEM, record
from pkgindex.catalog import services
from pkgindex.catalog.models import File, Index, JournalEntry, Project, Release, RetiredFilename
from tests.support.catalogue import add_wheel

LISTS = [
    "catalog_index",
    "catalog_project",
    "catalog_release",
    "catalog_file",
    "catalog_retiredfilename",
    "catalog_journalentry",
    "audit_auditentry",
]
READ_ONLY = LISTS[1:]


def listed(client, name, **query):
    """The answer of a list."""
    return client.get(reverse(f"admin:{name}_changelist"), query)


def found(client, name, term):
    """The rows that a search finds, as text."""
    return {str(row) for row in listed(client, name, q=term).context["cl"].result_list}


def more_rows(index, count):
    """Journal, audit and retired names in number."""
    head = JournalEntry.objects.count() + 1_000
    JournalEntry.objects.bulk_create(
        [
            JournalEntry(serial=head + n, index=index, project_name="p", normalized_name="p", action="add file")
            for n in range(count)
        ],
        batch_size=500,
    )
    AuditEntry.objects.bulk_create(
        [AuditEntry(actor_label="system", action="x", target_type="file", target=f"t{n}") for n in range(count)],
        batch_size=500,
    )
    first = RetiredFilename.objects.count()
    RetiredFilename.objects.bulk_create(
        [RetiredFilename(index=index, filename=f"{first + n}.whl", sha256="0" * 64) for n in range(count)],
        batch_size=500,
    )


@pytest.mark.parametrize("query", [{}, {"q": "p1"}])
def test_cost_of_a_list_does_not_depend_on_its_rows(root, index, many, query):
    """120 rows and 3,120 rows take the same queries, within a second."""
    many(index, 120)
    more_rows(index, 120)
    few = {}
    for name in LISTS:
        listed(root, name, **query)
        with CaptureQueriesContext(connection) as captured:
            listed(root, name, **query)
        few[name] = len(captured)
    many(index, 3_000)
    more_rows(index, 3_000)

    for name in LISTS:
        started = time.perf_counter()
        with CaptureQueriesContext(connection) as captured:
            assert listed(root, name, **query).status_code == 200
        assert len(captured) == few[name] <= 12
        assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("name", LISTS)
def test_lists_never_read_long_texts(root, index, many, name):
    """Descriptions and metadata, which can be megabytes, stay in the database."""
    many(index, 3)

    with CaptureQueriesContext(connection) as captured:
        listed(root, name)

    assert not [query["sql"] for query in captured if '"description"' in query["sql"]]


def test_searches_find_what_they_promise(root, index):
    """Names in any spelling, versions, beginnings of file names, whole digests, targets and serials."""
    file = add_wheel(index, "Acme.Core", "1.5")
    add_wheel(index, "other", "2.0")

    assert found(root, "catalog_project", "ACME_co") == {"Acme.Core"}
    assert found(root, "catalog_release", "acme-core 1") == {"Acme.Core 1.5"}
    assert found(root, "catalog_release", "acme 2") == set()
    assert found(root, "catalog_file", "acme_core-1") == {file.filename}
    assert found(root, "catalog_file", file.blob_id.upper()) == {file.filename}
    assert len(found(root, "catalog_journalentry", "acme.core")) == 2
    assert len(found(root, "catalog_journalentry", "1")) == 1
    assert len(found(root, "audit_auditentry", "main/acme-core")) == 2
    services.delete_file(SYSTEM, None, file)
    assert found(root, "catalog_retiredfilename", "acme") == {file.filename}


@pytest.mark.parametrize("term", ["\x00", "%", "'", "\\", "é" * 400, "9" * 400, "() OR 1=1", "   "])
@pytest.mark.parametrize("name", LISTS)
def test_any_search_gets_an_answer(root, index, name, term):
    """No text breaks a list."""
    assert listed(root, name, q=term).status_code == 200


@pytest.mark.parametrize("query", ["p=x", "p=-1", "o=9.9.9", "all=", "e=1", "status__exact=zzz", "nonsense=1"])
@pytest.mark.parametrize("name", LISTS)
def test_any_address_gets_an_answer(root, index, name, query):
    """A mangled address shows the list or leads back to it."""
    assert root.get(reverse(f"admin:{name}_changelist") + "?" + query).status_code in {200, 302}


def test_rows_link_to_each_other(root, index):
    """From a file to its release and project, from a project to its releases, files and journal: all lead somewhere."""
    file = add_wheel(index, "acme")
    release, project = file.release, file.release.project

    page = root.get(reverse("admin:catalog_file_change", args=[file.pk])).content.decode()
    assert reverse("admin:catalog_release_change", args=[release.pk]) in page
    assert reverse("admin:catalog_project_change", args=[project.pk]) in page
    assert f"/packages/{file.blob_id[:2]}/" in page

    page = root.get(reverse("admin:catalog_project_change", args=[project.pk])).content.decode()
    assert 'href="/p/acme/"' in page
    for name, field in [("release", "project__id__exact"), ("file", "release__project__id__exact")]:
        assert f"{reverse(f'admin:catalog_{name}_changelist')}?{field}={project.pk}" in page
        answer = listed(root, f"catalog_{name}", **{field: project.pk})
        assert answer.status_code == 200
        assert answer.context["cl"].result_count == 1
    journal = listed(root, "catalog_journalentry", index__id__exact=index.pk, normalized_name__exact="acme")
    assert journal.context["cl"].result_count == 2


@pytest.mark.parametrize("name", READ_ONLY)
def test_rows_cannot_be_added_or_deleted_by_a_form(root, index, name):
    """Not even a superuser reaches Django's own forms for what services alone may write."""
    file = add_wheel(index)
    services.delete_file(SYSTEM, None, file)
    add_wheel(index, "acme", "2.0")
    record(SYSTEM, "x", "y", "z")
    model = listed(root, name).context["cl"].model
    pk = model.objects.order_by("pk").first().pk

    assert root.get(reverse(f"admin:{name}_add")).status_code == 403
    assert root.post(reverse(f"admin:{name}_add"), {}).status_code == 403
    assert root.post(reverse(f"admin:{name}_delete", args=[pk]), {"post": "yes"}).status_code == 403
    assert root.get(reverse(f"admin:{name}_change", args=[pk])).status_code == 200
    assert root.post(reverse(f"admin:{name}_change", args=[pk]), {"name": "changed"}).status_code == 403
    assert b"deletelink" not in root.get(reverse(f"admin:{name}_change", args=[pk])).content


@pytest.mark.parametrize("name", LISTS)
def test_staff_who_may_view_see_lists_and_rows(staff, index, name):
    """The view permission opens list and row, without a button that changes anything."""
    services.delete_file(SYSTEM, None, add_wheel(index))
    add_wheel(index, "acme", "2.0")
    browser = staff(f"view_{name.partition('_')[2]}")

    rows = listed(browser, name).context["cl"].result_list
    page = browser.get(reverse(f"admin:{name}_change", args=[rows[0].pk]))

    assert page.status_code == 200
    assert b'name="action"' not in page.content
    assert b'name="_save"' not in page.content


@pytest.mark.parametrize("name", LISTS)
def test_delete_selected_is_gone(root, index, name):
    """Django's bulk deletion would leave journal and pages behind: posting it does nothing."""
    add_wheel(index)
    record(SYSTEM, "x", "y", "z")
    before = {model: model.objects.count() for model in (Index, Project, Release, File, JournalEntry, AuditEntry)}
    pks = [row.pk for row in listed(root, name).context["cl"].result_list]

    root.post(
        reverse(f"admin:{name}_changelist"),
        {"action": "delete_selected", "_selected_action": pks, "post": "yes"},
    )

    assert {model: model.objects.count() for model in before} == before


def test_admin_is_named(root, index):
    """The title says whose administration this is."""
    assert b"pkgindex administration" in root.get("/admin/").content


def test_autocomplete_finds_projects_and_indexes(root, index):
    """What other pages of the admin choose from by typing is served by these searches."""
    from pkgindex.catalog.admin import ProjectAdmin

    add_wheel(index, "acme")
    assert ProjectAdmin.search_fields
    rows = Project.objects.all()
    from django.contrib import admin

    found_rows, duplicates = admin.site.get_model_admin(Project).get_search_results(None, rows, "ac")
    assert [row.name for row in found_rows] == ["acme"]
    assert duplicates is False
