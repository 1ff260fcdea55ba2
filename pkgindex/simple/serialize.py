"""Pages as bytes: HTML at version 1.4, where PEP 833 froze it, and JSON 1.4 (PEP 691, 700, 714, 792). No Django.

Every text that a user wrote is escaped here. URLs of files are relative to the host's root, so that a page is the
same bytes whatever name the host is reached by.
"""

import json
from datetime import UTC, datetime
from enum import Enum
from html import escape
from typing import Any

from pkgindex.catalog.paths import file_path
from pkgindex.simple.pages import DetailPage, Page, PageFile, RootPage

API_VERSION = "1.4"


class Format(str, Enum):
    """The two serialisations of a page."""

    JSON = "json"
    HTML = "html"


def serialize(page: Page, form: Format, prefix: str = "/") -> bytes:
    """The page's bytes; `prefix` is the path that the application is mounted under, ending in a slash."""
    if isinstance(page, DetailPage):
        return detail_json(page, prefix) if form is Format.JSON else detail_html(page, prefix)
    return root_json(page) if form is Format.JSON else root_html(page)


def file_url(file: PageFile, prefix: str = "/") -> str:
    """The path of a file on the page's own host."""
    return prefix + file_path(file.sha256, file.filename)


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC with the suffix Z, as PEP 700 wants `upload-time`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def detail_json(page: DetailPage, prefix: str = "/") -> bytes:
    """A project's page in JSON."""
    status = {"status": page.status}
    if page.status_reason:
        status["reason"] = page.status_reason
    head = _compact(
        {
            "meta": {"api-version": API_VERSION, "_last-serial": page.serial},
            "name": page.name,
            "project-status": status,
            "versions": page.versions,
        }
    )
    files = ",".join(_json_file(file, prefix) for file in page.files)
    return f'{head[:-1]},"files":[{files}]}}'.encode()


def root_json(page: RootPage) -> bytes:
    """The list of projects in JSON; the serials are what bandersnatch mirrors by."""
    return _compact(
        {
            "meta": {"api-version": API_VERSION, "_last-serial": page.serial},
            "projects": [{"name": project.name, "_last-serial": project.serial} for project in page.projects],
        }
    ).encode()


def detail_html(page: DetailPage, prefix: str = "/") -> bytes:
    """A project's page in HTML."""
    head = [_meta("pypi:project-status", page.status)]
    if page.status_reason:
        head.append(_meta("pypi:project-status-reason", page.status_reason))
    links = [_link(file, prefix) for file in page.files]
    return _document(f"Links for {page.name}", head, links, page.serial)


def root_html(page: RootPage) -> bytes:
    """The list of projects in HTML; its links are relative to the page."""
    links = [f'<a href="{escape(p.normalized_name)}/">{escape(p.name)}</a><br>' for p in page.projects]
    return _document("Simple index", [], links, page.serial)


def _json_file(file: PageFile, prefix: str) -> str:
    """One file as JSON text: written out, since 40,000 dictionaries would cost half of a page's second.

    Digests, numbers and times need no escaping; `_text` escapes everything else.
    """
    metadata = f'{{"sha256":"{file.metadata_sha256}"}}' if file.metadata_sha256 else "false"
    yanked = (_text(file.yanked_reason) if file.yanked_reason else "true") if file.yanked else "false"
    return (
        f'{{"filename":{_text(file.filename)}'
        f',"url":{_text(file_url(file, prefix))}'
        f',"hashes":{{"sha256":"{file.sha256}"}}'
        f',"requires-python":{_text(file.requires_python) if file.requires_python else "null"}'
        f',"size":{file.size}'
        f',"upload-time":"{utc_text(file.uploaded_at)}"'
        f',"yanked":{yanked}'
        f',"core-metadata":{metadata}'
        # The two older spellings: the standard's, and the one that the public index has always sent.
        f',"dist-info-metadata":{metadata}'
        f',"data-dist-info-metadata":{metadata}}}'
    )


def _link(file: PageFile, prefix: str) -> str:
    attributes = [f'href="{escape(file_url(file, prefix))}#sha256={file.sha256}"']
    if file.requires_python:
        attributes.append(f'data-requires-python="{escape(file.requires_python)}"')
    if file.yanked:
        attributes.append(f'data-yanked="{escape(file.yanked_reason)}"')
    if file.metadata_sha256:
        attributes.append(f'data-dist-info-metadata="sha256={file.metadata_sha256}"')
        attributes.append(f'data-core-metadata="sha256={file.metadata_sha256}"')
    return f"<a {' '.join(attributes)}>{escape(file.filename)}</a><br>"


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">'


def _document(title: str, head: list[str], links: list[str], serial: int) -> bytes:
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        _meta("pypi:repository-version", API_VERSION),
        *head,
        f"<title>{escape(title)}</title>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        *links,
        "</body>",
        "</html>",
        f"<!--SERIAL {serial}-->",
    ]
    return "\n".join(lines).encode("utf-8", "replace")


def _compact(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"))


def _text(value: str) -> str:
    return json.dumps(value)
