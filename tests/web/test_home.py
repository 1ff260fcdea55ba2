"""The page of an index: search, lists, lines to paste."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import services
from pkgindex.catalog.models import Index, Project, Release
from tests.support.catalogue import add_wheel
from tests.web.html import read


@pytest.fixture
def reader(client, people):
    """A client that reads the default index."""
    client.force_login(people.reader)
    return client


def fill(index, count, releases=1):
    """Projects without files, as many as asked for."""
    made = Project.objects.bulk_create(
        Project(index=index, name=f"Made.{n:05}", normalized_name=f"made-{n:05}") for n in range(count)
    )
    Release.objects.bulk_create(
        Release(project=project, version=f"1.{v}", canonical_version=f"1.{v}")
        for project in made
        for v in range(releases)
    )


def names(response):
    """The projects that the page lists, in order."""
    return [line.normalized_name for line in response.context["projects"].lines]


def test_welcome_reveals_nothing(client, people, index):
    """An anonymous visitor of a private index learns how to go on, and no name or title."""
    Index.objects.filter(pk=index.pk).update(title="Falcon programme", slug="falcon")
    add_wheel(index, "acme-secret")

    response = client.get("/", HTTP_ACCEPT="text/html")
    page = response.content.decode()

    assert response.status_code == 200
    assert "/login/?next=/" in page or "/login/?next=%2F" in page
    assert "pip install" in page
    assert "falcon" not in page.lower()
    assert "acme" not in page
    assert read(page).faults == []


def test_welcome_without_any_index(client, db, admin_user):
    """A fresh service without an index answers, to strangers and to its administrator."""
    assert client.get("/").status_code == 200
    client.force_login(admin_user)
    assert client.get("/").status_code == 200


def test_welcome_lists_what_else_may_be_read(client, people):
    """Where the default index is private, a public one is still offered."""
    Index.objects.create(slug="open", title="Open packages", visibility="public")

    page = client.get("/").content.decode()

    assert "/i/open/" in page
    assert "Open packages" in page


def test_lists_show_latest_summary_and_status(reader, index):
    """A line has the latest version as PyPI chooses it, that release's summary and a status in words."""
    for version in ("1.0", "1.1", "2.0rc1"):
        add_wheel(index, "Acme.Core", version)
    Release.objects.filter(version="1.1").update(summary="Right & <proper>")
    services.set_status(SYSTEM, None, Project.objects.get(), "archived", "done")

    response = reader.get("/")

    line = response.context["projects"].lines[0]
    assert (line.name, line.version, line.summary, line.status) == ("Acme.Core", "1.1", "Right & <proper>", "archived")
    assert b"Right &amp; &lt;proper&gt;" in response.content
    assert b">archived<" in response.content
    assert read(response.content.decode()).faults == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("http", ["http", "http-client", "acme-http"]),
        ("HTTP_client", ["http-client"]),
        ("acme.http", ["acme-http"]),
        ("  http  ", ["http", "http-client", "acme-http"]),
        ("-http-", ["http", "http-client", "acme-http"]),
        ("nothing-like-it", []),
        ("%", []),
        ("h_t", []),
    ],
)
def test_search_finds_names_in_any_spelling_best_first(reader, index, query, expected):
    """The exact name comes first, then names that begin so, then names that contain it; wildcards are plain text."""
    for name in ("http-client", "acme-http", "http", "other"):
        add_wheel(index, name)

    response = reader.get("/", {"q": query})

    assert names(response) == expected
    assert read(response.content.decode()).faults == []


@pytest.mark.parametrize(
    "query", ["...", "\x00", "a\x00b", "\n", "'; DROP TABLE catalog_project; --", "é", "x" * 10_000]
)
@pytest.mark.parametrize("page", ["", "0", "-1", "x", "9" * 5_000, "1e3", "\x00"])
def test_any_query_gets_an_answer(reader, index, query, page):
    """No text in the address breaks the page."""
    add_wheel(index)

    assert reader.get("/", {"q": query, "page": page}).status_code == 200


def test_query_is_shown_escaped(reader, index):
    """A search is written into the page as text."""
    page = reader.get("/", {"q": '"><script>alert(1)</script>'}).content.decode()

    assert "<script>alert" not in page
    assert read(page).faults == []


def test_long_lists_are_paged_and_cost_the_same(reader, index):
    """3,000 projects answer with as many queries as 30, a page at a time, with the search kept in the links."""
    fill(index, 30)
    reader.get("/")
    with CaptureQueriesContext(connection) as few:
        reader.get("/")
    fill_more = [Project(index=index, name=f"m{n}", normalized_name=f"zz-{n}") for n in range(3_000)]
    Project.objects.bulk_create(fill_more)

    with CaptureQueriesContext(connection) as many:
        response = reader.get("/", {"page": "2"})

    assert len(many) == len(few)
    assert len(many) <= 10
    assert response.context["projects"].total == 3_030
    assert names(response)[0] == "made-00025"
    assert b"?q=zz&amp;page=3#projects" in reader.get("/", {"q": "zz", "page": "2"}).content


def test_recent_uploads_count_a_release_once_and_leave_quarantined_out(reader, index):
    """Newest first; a quarantined project's files are not announced."""
    now = timezone.now()
    for minutes, (name, version) in enumerate([("one", "1.0"), ("two", "1.0"), ("one", "2.0"), ("bad", "1.0")]):
        add_wheel(index, name, version, uploaded_at=now + timedelta(minutes=minutes))
    services.set_status(SYSTEM, None, Project.objects.get(name="bad"), "quarantined", "looked odd")

    recent = reader.get("/").context["recent"]

    assert [(upload.name, upload.version) for upload in recent] == [("one", "2.0"), ("two", "1.0"), ("one", "1.0")]


def test_an_upload_is_counted_and_announced_at_once(reader, index):
    """What the page keeps about the whole index is dropped by the index's next change."""
    add_wheel(index, "one")
    before = reader.get("/").context["counts"]

    add_wheel(index, "two")

    after = reader.get("/").context["counts"]
    assert (before.projects, before.files) == (1, 1)
    assert (after.projects, after.files) == (2, 2)
    assert {upload.name for upload in after.recent} == {"one", "two"}


def test_lines_name_the_address_that_was_reached(reader, index, settings):
    """The request's host counts, or PUBLIC_URL where the operator set it; other indexes have their own path."""
    team = Index.objects.create(slug="team-x", visibility="internal")
    add_wheel(team, "thing")

    assert b"http://testserver/simple/" in reader.get("/").content
    page = reader.get("/i/team-x/").content
    assert b"http://testserver/i/team-x/legacy/" in page
    assert b"/i/team-x/p/thing/" in page
    settings.PUBLIC_URL = "https://pkgs.example"
    assert b"https://pkgs.example/simple/" in reader.get("/").content


def test_staff_find_the_administration(client, admin_user, index, people):
    """The link is there for staff and for nobody else."""
    client.force_login(admin_user)
    assert b'href="/admin/"' in client.get("/").content
    client.force_login(people.reader)
    assert b'href="/admin/"' not in client.get("/").content


@pytest.mark.parametrize("path", ["/i/main", "/p/acme", "/i/main/p/acme"])
def test_missing_slash_is_added(reader, index, path):
    """An address typed without its slash leads on, with its query."""
    response = reader.get(path + "?version=1")

    assert (response.status_code, response["Location"]) == (301, f"{path}/?version=1")


@pytest.mark.parametrize("template", ["403.html", "404.html", "500.html"])
def test_error_pages_stand_alone(template):
    """They render without a request, a database or collected static files."""
    from django.template.loader import render_to_string

    assert read(render_to_string(template)).faults == []


def test_unknown_address_is_a_friendly_404(client, db):
    """What no door serves says so in a page."""
    response = client.get("/no/such/page")

    assert response.status_code == 404
    assert "nothing at this address" in response.content.decode()
