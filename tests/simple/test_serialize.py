"""Pages as bytes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgindex.catalog.names import normalize
from pkgindex.simple.pages import ListedProject, PageFile
from pkgindex.simple.serialize import Format, file_url, project_lines, projects_in
from tests.simple.whole import DetailPage, RootPage, detail_html, detail_json, in_order, root_html, root_json, serialize

DIGEST = "ab" + "cd" + "e" * 60
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def a_file(**fields) -> PageFile:
    given_fields = {
        "filename": "acme-1.0-py3-none-any.whl",
        "version": "1.0",
        "sha256": DIGEST,
        "size": 7,
        "uploaded_at": MOMENT,
    }
    return PageFile(**given_fields | fields)


class Anchors(HTMLParser):
    """The links, meta elements and comments of a page, as a browser reads them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.metas: dict[str | None, str | None] = {}
        self.tags: list[str] = []
        self.comments: list[str] = []
        self._inside = False
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs))
            self.texts.append("")
            self._inside = True
        if tag == "meta":
            self.metas[dict(attrs).get("name")] = dict(attrs).get("content")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "a"

    def handle_data(self, data):
        if self._inside:
            self.texts[-1] += data

    def handle_comment(self, data):
        self.comments.append(data)


def test_json_of_a_project_is_exact():
    """Every member of API 1.4 is there in its form, and nothing else."""
    page = DetailPage("acme", 9, "active", "", (a_file(metadata_sha256="f" * 64, requires_python=">=3.9"),))

    assert json.loads(detail_json(page)) == {
        "meta": {"api-version": "1.4", "_last-serial": 9},
        "name": "acme",
        "versions": ["1.0"],
        "files": [
            {
                "filename": "acme-1.0-py3-none-any.whl",
                "url": f"/packages/ab/cd/{'e' * 60}/acme-1.0-py3-none-any.whl",
                "hashes": {"sha256": DIGEST},
                "requires-python": ">=3.9",
                "size": 7,
                "upload-time": "2026-03-04T05:06:07.000089Z",
                "yanked": False,
                "core-metadata": {"sha256": "f" * 64},
                "data-dist-info-metadata": {"sha256": "f" * 64},
            }
        ],
        "project-status": {"status": "active"},
    }
    assert b": " not in detail_json(page)


def test_html_of_a_project_is_exact():
    """The HTML of version 1.4 with every attribute, one link a line, as simple scrapers read it."""
    file = a_file(metadata_sha256="f" * 64, requires_python=">=3.9,<4", yanked=True, yanked_reason='bad "build"')

    lines = detail_html(DetailPage("acme", 9, "deprecated", "use <b>", (file,))).decode().split("\n")

    assert lines[0] == "<!DOCTYPE html>"
    assert '<meta name="pypi:repository-version" content="1.4">' in lines
    assert '<meta name="pypi:project-status" content="deprecated">' in lines
    assert '<meta name="pypi:project-status-reason" content="use &lt;b&gt;">' in lines
    assert (
        f'<a href="/packages/ab/cd/{"e" * 60}/acme-1.0-py3-none-any.whl#sha256={DIGEST}"'
        ' data-requires-python="&gt;=3.9,&lt;4" data-yanked="bad &quot;build&quot;"'
        f' data-dist-info-metadata="sha256={"f" * 64}" data-core-metadata="sha256={"f" * 64}">'
        "acme-1.0-py3-none-any.whl</a><br>"
    ) in lines
    assert lines[-1] == "<!--SERIAL 9-->"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"yanked": True}, True),
        ({"yanked": True, "yanked_reason": "broken"}, "broken"),
        ({"yanked": False, "yanked_reason": "left over"}, False),
    ],
)
def test_yanked_in_json(fields, expected):
    """Without a reason it is true, since an empty string would read as false."""
    assert json.loads(detail_json(DetailPage("acme", 1, files=(a_file(**fields),))))["files"][0]["yanked"] == expected


def test_absent_facts_are_null_or_absent():
    """No requires-python is null in JSON and no attribute in HTML; no metadata is false and no attribute."""
    page = DetailPage("acme", 1, files=(a_file(),))

    file = json.loads(detail_json(page))["files"][0]
    assert file["requires-python"] is None
    assert file["core-metadata"] is False
    assert set(Anchors(detail_html(page)).links[0]) == {"href"}


def test_versions_are_ordered_and_unique():
    """Versions stand once each in PEP 440's order and files follow them; unreadable ones come first."""
    versions = ["1.10", "1.9", "1.10rc1", "1.9", "2004d-final"]
    files = in_order([a_file(filename=f"acme-{i}.whl", version=v) for i, v in enumerate(versions)])

    page = json.loads(detail_json(DetailPage("acme", 1, files=files)))

    assert page["versions"] == ["2004d-final", "1.9", "1.10rc1", "1.10"]
    assert [file["filename"] for file in page["files"]] == [f"acme-{i}.whl" for i in (4, 1, 3, 2, 0)]


def test_status_reason_in_json():
    """A reason stands beside the status."""
    page = DetailPage("acme", 1, "archived", "moved to acme2")

    assert json.loads(detail_json(page))["project-status"] == {"status": "archived", "reason": "moved to acme2"}


def test_upload_time_is_utc():
    """A moment in another time zone is written in UTC."""
    there = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))

    page = json.loads(detail_json(DetailPage("acme", 1, files=(a_file(uploaded_at=there),))))

    assert page["files"][0]["upload-time"] == "2025-12-31T22:30:00.000000Z"


def test_list_of_projects():
    """Each project has its own name, its page and, in JSON, the serial that mirrors compare."""
    page = RootPage(9, (ListedProject("Acme.Tools", "acme-tools", 4),))

    assert json.loads(root_json(page)) == {
        "meta": {"api-version": "1.4", "_last-serial": 9},
        "projects": [{"name": "Acme.Tools", "_last-serial": 4}],
    }
    assert '<a href="acme-tools/">Acme.Tools</a><br>' in root_html(page).decode().split("\n")
    assert root_html(page).endswith(b"<!--SERIAL 9-->")


@given(st.lists(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True), max_size=5))
def test_lines_of_the_list_are_read_back(names):
    """What was written of projects can be read from the page again."""
    projects = [ListedProject(name, normalize(name), number) for number, name in enumerate(names, 1)]

    assert projects_in(project_lines(projects, Format.JSON), Format.JSON) == projects
    without_serials = [replace(project, serial=0) for project in projects]
    assert projects_in(project_lines(projects, Format.HTML), Format.HTML) == without_serials


def test_prefix_of_a_mounted_application():
    """Under a mount point, file URLs begin with it."""
    assert file_url(a_file(), "/pypi/").startswith("/pypi/packages/ab/cd/")


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=30),
    reason=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1, max_size=30),
)
def test_user_text_never_becomes_markup(text, reason):
    """Whatever users write, the page has the same elements, and links and attributes give back the text exactly."""
    file = a_file(filename=f"a{text.replace('/', '')}.whl", requires_python=reason, yanked=True, yanked_reason=reason)
    page = DetailPage("acme", 1, "archived", reason, (file,))

    seen = Anchors(serialize(page, Format.HTML))

    assert seen.tags == ["html", "head", "meta", "meta", "meta", "meta", "title", "body", "h1", "a", "br"]
    assert seen.comments == ["SERIAL 1"]
    assert seen.texts == [file.filename]
    assert seen.links[0]["data-yanked"] == seen.links[0]["data-requires-python"] == reason
    assert seen.metas["pypi:project-status-reason"] == reason
    url = urlsplit(str(seen.links[0]["href"]))
    assert unquote(url.path.rpartition("/")[2]) == file.filename
    assert (url.query, url.fragment) == ("", f"sha256={DIGEST}")
    assert json.loads(serialize(page, Format.JSON))["files"][0]["filename"] == file.filename
