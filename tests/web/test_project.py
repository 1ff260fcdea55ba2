"""The page of a project."""

import hashlib
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pkgindex.audit.record import SYSTEM
from pkgindex.blobs.models import Blob
from pkgindex.catalog import services
from pkgindex.catalog.models import File, Index, Project, Release
from tests.support.catalogue import add_wheel
from tests.web.html import read


@pytest.fixture
def reader(client, people):
    """A client that reads the default index."""
    client.force_login(people.reader)
    return client


def fill(release, count):
    """Give the release that many files that share one blob."""
    blob = Blob.objects.get_or_create(sha256="ab" * 32, defaults={"size": 1, "claimed_at": timezone.now()})[0]
    File.objects.bulk_create(
        File(
            index_id=release.project.index_id,
            release=release,
            filename=f"{release.project.normalized_name}-{release.version}-{release.pk}-{n}.whl",
            packagetype="bdist_wheel",
            python_version="py3",
            blob=blob,
            size=1_500,
            md5="0" * 32,
            blake2b="0" * 64,
            uploaded_at=timezone.now(),
        )
        for n in range(count)
    )


def test_page_shows_what_installing_takes(reader, index):
    """Version, pinned lines, file with both links, whole digest, size, and valid markup."""
    file = add_wheel(index, "acme", "1.5", requires_python=">=3.11")

    response = reader.get("/p/acme/")
    page = response.content.decode()

    digest = file.blob_id
    path = f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{file.filename}"
    assert f'href="{path}"' in page
    assert f'href="{path}.metadata"' in page
    assert digest in page
    assert f'title="{file.size:,} bytes"' in page
    assert "acme==1.5" in page
    assert "&gt;=3.11" in page
    assert read(page).faults == []


def test_chosen_version_in_any_spelling(reader, index):
    """`?version=` takes what PEP 440 counts as the same version, and a version that is none is a 404."""
    for version in ("1.0", "2.0"):
        add_wheel(index, "acme", version)

    old = reader.get("/p/acme/?version=v1.0.0")

    assert old.context["release"].version == "1.0"
    assert "The latest release is 2.0" in old.content.decode()
    for wrong in ("3.0", "nonsense", "1" * 5_000, "<script>", "\x00"):
        assert reader.get("/p/acme/", {"version": wrong}, HTTP_ACCEPT="text/html").status_code == 404


@pytest.mark.parametrize(("status", "word"), [("archived", "stays available"), ("deprecated", "advise against")])
def test_status_is_explained_with_its_reason(reader, index, status, word):
    """The badge is a word, and the page says what it means and why."""
    add_wheel(index)
    services.set_status(SYSTEM, None, Project.objects.get(), status, "use <other>")

    page = reader.get("/p/acme/").content.decode()

    assert f"This project is {status}." in page
    assert word in page
    assert "use &lt;other&gt;" in page
    assert "/packages/" in page


def test_quarantined_project_offers_nothing(reader, index):
    """No file, no line to install and no foreign link, but what happened and why."""
    file = add_wheel(index)
    Release.objects.update(metadata={"home_page": "https://evil.example/"})
    services.set_status(SYSTEM, None, Project.objects.get(), "quarantined", "token leaked")

    page = reader.get("/p/acme/").content.decode()

    assert "This project is quarantined." in page
    assert "token leaked" in page
    assert file.filename not in page
    assert "/packages/" not in page
    assert "pip install" not in page
    assert "evil.example" not in page
    assert read(page).faults == []


def test_yanked_is_said_in_words(reader, index):
    """A yanked release and a yanked file carry the word and the reason."""
    file = add_wheel(index, "acme", "1.0")
    add_wheel(index, "acme", "2.0")
    services.yank_file(SYSTEM, None, file, "broken & sad")

    page = reader.get("/p/acme/?version=1.0").content.decode()

    assert "This release is yanked." in page
    assert "broken &amp; sad" in page
    assert reader.get("/p/acme/").context["latest"] == "2.0"


HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7|add:7 }}{% now "Y" %}\'"</pre></main>'


def test_hostile_metadata_stays_text(reader, index):
    """Every field that an uploader writes reaches the page escaped, and the markup stays whole."""
    add_wheel(index)
    Release.objects.update(
        summary=HOSTILE,
        description=HOSTILE * 50,
        requires_python=HOSTILE,
        metadata={
            "license": HOSTILE,
            "author": HOSTILE,
            "keywords": HOSTILE,
            "description_content_type": HOSTILE,
            "project_urls": {HOSTILE: "https://a.example/?" + "x", "Bad": "javascript:alert(1)"},
            "requires_dist": [HOSTILE],
        },
    )

    page = reader.get("/p/acme/").content.decode()

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "javascript:" not in page
    assert "{{ 7|add:7 }}" in page
    markup = read(page)
    assert markup.faults == []
    outside = [given for tag, given in markup.elements if tag == "a" and given.get("href", "").startswith("http")]
    assert [given["rel"] for given in outside] == ["noopener noreferrer nofollow"]


def test_long_description_is_cut(reader, index):
    """Megabytes of text do not reach the page, and it says so."""
    add_wheel(index)
    Release.objects.update(description="x" * 1_000_000)

    response = reader.get("/p/acme/")

    assert len(response.content) < 300_000
    assert b"Only the beginning is shown" in response.content


def test_bare_projects_have_a_page(reader, index):
    """A project without releases, and a release without files, are shown as what they are."""
    project = Project.objects.create(index=index, name="Bare", normalized_name="bare")
    assert b"This project has no release" in reader.get("/p/bare/").content
    Release.objects.create(project=project, version="1.0", canonical_version="1")

    page = reader.get("/p/bare/").content.decode()

    assert "This release has no files" in page
    assert read(page).faults == []


def test_other_spellings_lead_to_the_normalised_name(reader, index):
    """One page a project; the index and the query are kept."""
    add_wheel(index)

    assert reader.get("/p/ACME/?version=1.0")["Location"] == "/p/acme/?version=1.0"
    assert reader.get("/i/main/p/A.c__Me/")["Location"] == "/i/main/p/a-c-me/"


def test_same_name_in_two_indexes_is_two_projects(client, people, index):
    """Each index shows its own."""
    team = Index.objects.create(slug="team", visibility="internal")
    add_wheel(index, "acme", "1.0")
    add_wheel(team, "acme", "9.0")
    client.force_login(people.reader)

    assert client.get("/p/acme/").context["release"].version == "1.0"
    assert client.get("/i/team/p/acme/").context["release"].version == "9.0"
    client.force_login(people.stranger)
    assert client.get("/p/acme/").status_code == 404


def test_large_project_costs_the_same_and_stays_small(reader, index):
    """500 releases and 10,000 files: as many queries as for one, a bounded page, well under a second."""
    add_wheel(index, "acme", "600.0")
    reader.get("/p/acme/")
    with CaptureQueriesContext(connection) as few:
        reader.get("/p/acme/")
    project = Project.objects.get()
    made = Release.objects.bulk_create(
        Release(project=project, version=f"{n}.0", canonical_version=str(n)) for n in range(500)
    )
    fill(made[7], 9_000)
    fill(made[8], 1_000)
    reader.get("/p/acme/")  # what is known of the index and the reader may have ended since

    started = time.perf_counter()
    with CaptureQueriesContext(connection) as many:
        response = reader.get("/p/acme/?version=7.0&files=3&releases=2")
    spent = time.perf_counter() - started

    assert len(many) == len(few)
    assert len(many) <= 10
    assert len(response.context["files"].lines) == 50
    assert response.context["release_total"] == 501
    assert len(response.content) < 100_000
    assert spent < 1.0
    assert b"version=7.0&amp;files=4&amp;releases=2#files" in response.content


def test_digest_of_page_is_the_file_s(reader, index):
    """The digest that people copy is that of the bytes."""
    file = add_wheel(index)
    from django.core.files.storage import storages

    digest = file.blob_id
    with storages["blobs"].open(f"{digest[:2]}/{digest[2:4]}/{digest[4:]}") as stored:
        assert hashlib.sha256(stored.read()).hexdigest() in reader.get("/p/acme/").content.decode()
