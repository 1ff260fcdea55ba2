"""Large pages are put together from what did not change: the same bytes as a page made anew, for little work."""

import gzip
import random

import pytest
import zstandard
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import services
from pkgindex.catalog.models import File, Index, JournalEntry, Project, ProjectStatus, Release
from pkgindex.simple import files, pagecache, source
from pkgindex.simple.blocks import Area
from pkgindex.simple.lru import Ready
from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.pagecache import PageKey, fetch
from pkgindex.simple.pages import ListedProject, PageFile
from pkgindex.simple.serialize import REVISION, Format
from tests.simple.whole import DetailPage, RootPage, in_order, serialize
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)
NAMES, VERSIONS = ["acme", "Beta.Tools", "zeta_2"], ["1.0", "1.1", "2.0rc1", "0.9.0"]
DECODERS = {
    Encoding.IDENTITY: bytes,
    Encoding.GZIP: gzip.decompress,
    Encoding.ZSTD: lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


@pytest.fixture
def public(monkeypatch) -> Index:
    """A public default index whose every page is kept in files, as only large ones are."""
    monkeypatch.setattr(pagecache, "LARGE", 0)
    return Index.objects.create(slug="open", is_default=True, visibility="public")


@pytest.fixture
def blocks_written(monkeypatch) -> list[str]:
    """The keys of the blocks that were written anew, in every build since the test cleared it."""
    written: list[str] = []
    add = Area.add

    def noting(self, key, label, lines):
        written.append(key)
        return add(self, key, label, lines)

    monkeypatch.setattr(Area, "add", noting)
    return written


def content(ready: Ready | None) -> bytes:
    assert ready is not None
    return ready.path.read_bytes() if ready.path else ready.body


def plainly(index: Index, name: str, form: Format) -> bytes | None:
    """The page made from the rows in the plainest way."""
    index.refresh_from_db()
    if not name:
        rows = Project.objects.filter(index=index).exclude(status="quarantined").order_by("normalized_name")
        listed = tuple(ListedProject(row.name, row.normalized_name, row.last_serial) for row in rows)
        return serialize(RootPage(index.last_serial, listed), form)
    project = Project.objects.filter(index=index, normalized_name=name).first()
    if project is None:
        return None
    rows = File.objects.filter(release__project=project).select_related("release")
    found = [
        PageFile(
            row.filename,
            row.release.version,
            row.blob_id,
            row.size,
            row.uploaded_at,
            row.requires_python,
            row.yanked or row.release.yanked,
            row.yanked_reason or (row.release.yanked_reason if row.release.yanked else ""),
            row.metadata_blob_id,
        )
        for row in rows
    ]
    shown = () if project.status == "quarantined" else in_order(found)
    return serialize(DetailPage(name, project.last_serial, project.status, project.status_reason, shown), form)


def change(index: Index, dice: random.Random) -> None:
    """One of the changes that people make."""
    file, release = (dice.choice(list(model.objects.all()) or [None]) for model in (File, Release))
    project = dice.choice(list(Project.objects.all()) or [None])
    reason = dice.choice(["", "broken", '"<b>"'])
    removals = [
        lambda: services.delete_file(SYSTEM, None, file),
        lambda: services.delete_release(SYSTEM, None, release),
        lambda: services.delete_project(SYSTEM, None, project),
    ]
    marks = [
        lambda: services.yank_file(SYSTEM, None, file, reason),
        lambda: services.unyank_file(SYSTEM, None, file),
        lambda: services.yank_release(SYSTEM, None, release, reason),
        lambda: services.unyank_release(SYSTEM, None, release),
        lambda: services.set_status(SYSTEM, None, project, dice.choice(ProjectStatus.values), reason),
    ]
    kind = dice.choices(["add", "mark", "remove"], [5, 4, 1])[0] if file else "add"
    if kind == "add":
        name, version = dice.choice(NAMES), dice.choice(VERSIONS)
        filename = f"{name}-{version}-{dice.randrange(10**9)}-py3-none-any.whl"
        add_wheel(index, name, version, filename=filename)
    else:
        dice.choice(marks if kind == "mark" else removals)()


@pytest.mark.parametrize("seed", range(4))
def test_after_any_changes_the_bytes_are_those_of_a_page_made_anew(public, monkeypatch, seed):
    """Whatever is uploaded, yanked, deleted and marked, each form of each page is exactly what its rows say."""
    monkeypatch.setattr(source, "BLOCK_LINES", 1)
    dice = random.Random(seed)
    for _ in range(40):
        for _ in range(dice.choice([1, 1, 3])):
            change(public, dice)
        for name in ["", "acme", "beta-tools", "zeta-2"]:
            for form in Format:
                page, expected = PageKey(public.pk, name, form), plainly(public, name, form)
                encoding = dice.choice(list(Encoding))
                ready = fetch(page, encoding)
                assert (DECODERS[encoding](content(ready)) if ready else None) == expected


def test_an_upload_writes_one_block_anew(public, blocks_written):
    """Of a project with many releases only the release of the upload is read and written again."""
    for number in range(30):
        add_wheel(public, version=f"1.{number}")
    page = PageKey(public.pk, "acme", Format.JSON)
    fetch(page, Encoding.GZIP)
    add_wheel(public, version="1.7", filename="acme-1.7-1-py3-none-any.whl")
    blocks_written.clear()

    with CaptureQueriesContext(connection) as queries:
        ready = fetch(page, Encoding.GZIP)

    assert blocks_written == ["1.7"]
    assert len(queries) == 3
    assert gzip.decompress(content(ready)) == plainly(public, "acme", Format.JSON)


def test_a_list_that_grew_writes_one_block_anew(public, blocks_written, monkeypatch):
    """Of a long list of projects only the part around the new one is read and written again."""
    monkeypatch.setattr(source, "BLOCK_LINES", 4)
    for number in range(20):
        add_wheel(public, f"acme-{number:02}")
    page = PageKey(public.pk, "", Format.HTML)
    fetch(page, Encoding.GZIP)
    add_wheel(public, "acme-07a")
    blocks_written.clear()

    with CaptureQueriesContext(connection) as queries:
        ready = fetch(page, Encoding.GZIP)

    assert blocks_written == ["acme-04"]
    assert len(queries) == 3
    assert gzip.decompress(content(ready)) == plainly(public, "", Format.HTML)


def test_status_alone_writes_no_block(public, blocks_written):
    """A status changes the head of the page and none of its lines."""
    project = add_wheel(public).release.project
    page = PageKey(public.pk, "acme", Format.JSON)
    fetch(page, Encoding.GZIP)
    services.set_status(SYSTEM, None, project, "archived", "moved")
    blocks_written.clear()

    assert content(fetch(page, Encoding.IDENTITY)) == plainly(public, "acme", Format.JSON)
    assert blocks_written == []


def test_what_the_journal_does_not_know_is_made_anew(public, blocks_written):
    """Where the change that the kept page was made for is not in the journal, nothing of it is used."""
    add_wheel(public)
    page = PageKey(public.pk, "acme", Format.JSON)
    fetch(page, Encoding.GZIP)
    JournalEntry.objects.all().delete()
    add_wheel(public, version="2.0")
    blocks_written.clear()

    assert content(fetch(page, Encoding.IDENTITY)) == plainly(public, "acme", Format.JSON)
    assert blocks_written == ["1", "2"]


@pytest.mark.parametrize("harm", ["no manifest", "no bytes", "bad manifest", "cut bytes", "another page"])
def test_spoiled_folder_costs_a_build(public, harm):
    """Whatever happens to the kept files, the next page is right."""
    add_wheel(public)
    page = PageKey(public.pk, "acme", Format.JSON)
    ready = fetch(page, Encoding.IDENTITY)
    manifest = next(ready.path.parent.glob("*.json"))
    if harm == "no manifest":
        manifest.unlink()
    elif harm == "no bytes":
        ready.path.unlink()
    elif harm == "bad manifest":
        manifest.write_text("{}\n[]\n")
    elif harm == "cut bytes":
        ready.path.write_bytes(b"{")
    else:
        manifest.write_text(manifest.read_text().replace(":acme:", ":beta:"))
    pagecache.local.clear_local()
    add_wheel(public, version="2.0")

    assert content(fetch(page, Encoding.IDENTITY)) == plainly(public, "acme", Format.JSON)


def test_one_page_has_one_set_of_files(public):
    """However often a page changes, the folder holds its newest bytes alone."""
    for number in range(4):
        add_wheel(public, version=f"1.{number}")
        ready = fetch(PageKey(public.pk, "acme", Format.JSON), Encoding.ZSTD)
    kept = sorted(path.name.split(".")[-1] for path in ready.path.parent.iterdir())

    assert kept == ["gzip", "identity", "json", "zstd"]


def test_pages_made_longest_ago_go_first(public):
    """The folder is bounded: old pages are removed and come back when they are asked for."""
    for name in ("acme", "beta"):
        add_wheel(public, name)
        ready = fetch(PageKey(public.pk, name, Format.JSON), Encoding.GZIP)

    files.trim(most=sum(path.stat().st_size for path in ready.path.parent.glob(f"{ready.path.name[:32]}.*")))

    assert files.look(f"page:b:{REVISION}:{public.pk}:acme:json", Encoding.GZIP) is None
    assert files.look(f"page:b:{REVISION}:{public.pk}:beta:json", Encoding.GZIP) is not None
    pagecache.local.clear_local()
    assert content(fetch(PageKey(public.pk, "acme", Format.JSON), Encoding.IDENTITY))


def test_folder_that_takes_no_files(public, settings, tmp_path):
    """Without a place for files pages are made in memory, and nobody gets an error."""
    (tmp_path / "no-folder").write_text("")
    settings.PAGES_DIR = tmp_path / "no-folder"
    add_wheel(public)

    ready = fetch(PageKey(public.pk, "acme", Format.JSON), Encoding.IDENTITY)

    assert ready.path is None
    assert ready.body == plainly(public, "acme", Format.JSON)


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity"])
def test_page_in_a_file_over_http(client, public, coding):
    """A large page is answered with length, tag and coding; HEAD has no body, and 304 none either."""
    add_wheel(public)
    headers = {"HTTP_ACCEPT_ENCODING": coding}

    answer = client.get("/simple/acme/", **headers)

    body = b"".join(answer.streaming_content)
    assert DECODERS[Encoding(coding)](body) == plainly(public, "acme", Format.HTML)
    assert (answer["Content-Length"], answer["Content-Type"]) == (str(len(body)), "text/html; charset=utf-8")
    assert answer.get("Content-Encoding", "identity") == coding
    head = client.head("/simple/acme/", **headers)
    assert (head["Content-Length"], head["ETag"], head.content) == (str(len(body)), answer["ETag"], b"")
    assert client.get("/simple/acme/", **headers, HTTP_IF_NONE_MATCH=answer["ETag"]).status_code == 304


def test_file_that_vanished_is_made_again(client, public):
    """A page that this process knows and whose file somebody removed is answered all the same."""
    add_wheel(public)
    first = b"".join(client.get("/simple/acme/").streaming_content)
    for path in files._folder().iterdir():
        path.unlink()

    assert b"".join(client.get("/simple/acme/").streaming_content) == first
