"""Project status (PEP 792) and yanks on the pages."""

import json

import pytest
from django.test import Client

from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import Index, Project
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def public(db) -> Index:
    """A public default index."""
    return Index.objects.create(slug="open", is_default=True, visibility="public")


def get_json(client: Client, path: str) -> dict:
    return json.loads(client.get(path, HTTP_ACCEPT="application/vnd.pypi.simple.v1+json").content)


@pytest.mark.parametrize("status", ["archived", "deprecated"])
def test_status_is_shown(client, public, status):
    """An archived or deprecated project keeps its files and says so in both forms."""
    add_wheel(public)
    _set_status(public, status, "see <acme2>")

    page = get_json(client, "/simple/acme/")
    html = client.get("/simple/acme/").content.decode()

    assert page["project-status"] == {"status": status, "reason": "see <acme2>"}
    assert len(page["files"]) == 1
    assert f'<meta name="pypi:project-status" content="{status}">' in html
    assert "see &lt;acme2&gt;" in html
    assert len(get_json(client, "/simple/")["projects"]) == 1


def test_quarantined_project_offers_nothing(client, public):
    """A quarantined project has an empty page and is not in the list (PEP 792)."""
    add_wheel(public)
    _set_status(public, "quarantined", "")

    page = get_json(client, "/simple/acme/")

    assert (page["files"], page["project-status"]) == ([], {"status": "quarantined"})
    assert get_json(client, "/simple/")["projects"] == []
    assert b"<a " not in client.get("/simple/acme/").content


def test_yank_of_a_release_marks_its_files(client, public):
    """Files of a yanked release are yanked, with the release's reason."""
    file = add_wheel(public)
    file.release.yanked, file.release.yanked_reason = True, "bad"
    file.release.save()
    with changing(public.pk, public.slug, SYSTEM) as change:
        change.note("yank release", file.release.project, version="1.0")

    assert get_json(client, "/simple/acme/")["files"][0]["yanked"] == "bad"


def _set_status(index: Index, status: str, reason: str) -> None:
    project = Project.objects.get(index=index)
    with changing(index.pk, index.slug, SYSTEM) as change:
        Project.objects.filter(pk=project.pk).update(status=status, status_reason=reason)
        change.note(f"set status {status}", project, reason=reason)
