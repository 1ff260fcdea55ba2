"""Pages as bytes: HTML at version 1.4, where PEP 833 froze it, and JSON 1.4 (PEP 691, 700, 714, 792). No Django.

Every text that a user wrote is escaped here. URLs of files are relative to the host's root, so that a page is the
same bytes whatever name the host is reached by. A page is its head, its lines and its tail, so that a long one can be
written, and later put together from what did not change, without ever being in memory as a whole.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum
from html import escape, unescape
from typing import Any

from pkgindex.catalog.names import normalize
from pkgindex.catalog.paths import file_path
from pkgindex.simple.pages import ListedProject, PageFile, Top

API_VERSION = "1.4"
REVISION = 2  # of these bytes: one more with every change to them, so that pages which were kept before are built anew
LINK = re.compile(r'<a href="([^"]*)/">(.*)</a><br>')


class Format(str, Enum):
    """The two serialisations of a page."""

    JSON = "json"
    HTML = "html"


def file_url(file: PageFile, prefix: str = "/") -> str:
    """The path of a file on the page's own host."""
    return prefix + file_path(file.sha256, file.filename)


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC with the suffix Z, as PEP 700 wants `upload-time`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def head(top: Top, versions: Iterable[str], form: Format) -> bytes:
    """What stands above a page's lines; `versions` are those of a project's files, in their order."""
    if form is Format.HTML:
        return _html_head(top)
    data: dict[str, Any] = {"meta": {"api-version": API_VERSION, "_last-serial": top.serial}}
    if top.is_list:
        return f'{_compact(data)[:-1]},"projects":['.encode()
    status = {"status": top.status}
    if top.status_reason:
        status["reason"] = top.status_reason
    data |= {"name": top.name, "project-status": status, "versions": list(versions)}
    return f'{_compact(data)[:-1]},"files":['.encode()


def tail(top: Top, form: Format) -> bytes:
    """What stands below a page's lines."""
    return b"]}" if form is Format.JSON else f"</body>\n</html>\n<!--SERIAL {top.serial}-->".encode()


def separator(form: Format) -> bytes:
    """What stands between two lines, and between two runs of lines; in HTML every line ends itself."""
    return b"," if form is Format.JSON else b""


def file_lines(files: Iterable[PageFile], form: Format, prefix: str = "/") -> bytes:
    """Files of a project's page; `prefix` is the path that the application is mounted under, ending in a slash."""
    if form is Format.JSON:
        return ",".join([_json_file(file, prefix) for file in files]).encode()
    return "".join([_link(file, prefix) for file in files]).encode("utf-8", "replace")


def project_lines(projects: Iterable[ListedProject], form: Format) -> bytes:
    """Projects of the list: in HTML relative links, in JSON with the serials that bandersnatch mirrors by."""
    if form is Format.JSON:
        return ",".join([f'{{"name":{_text(p.name)},"_last-serial":{p.serial}}}' for p in projects]).encode()
    links = [f'<a href="{escape(p.normalized_name)}/">{escape(p.name)}</a><br>\n' for p in projects]
    return "".join(links).encode("utf-8", "replace")


def projects_in(lines: bytes, form: Format) -> list[ListedProject]:
    """The projects that `project_lines` wrote; in HTML their serials are not written and come back as 0."""
    if form is Format.JSON:
        found = json.loads(b"[" + lines + b"]")
        return [ListedProject(one["name"], normalize(one["name"]), one["_last-serial"]) for one in found]
    links = LINK.findall(lines.decode())
    return [ListedProject(unescape(name), unescape(place), 0) for place, name in links]


def _json_file(file: PageFile, prefix: str) -> str:
    """One file as JSON text: written out, since 40,000 dictionaries would cost half of a page's second.

    Digests, numbers and times need no escaping; `_text` escapes everything else. PEP 714's key and the spelling that
    the public index has always sent; never PEP 658's `dist-info-metadata`: pip 22.3 to 23.0 stops at it, a TypeError.
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
    return f"<a {' '.join(attributes)}>{escape(file.filename)}</a><br>\n"


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">'


def _html_head(top: Top) -> bytes:
    title = "Simple index" if top.is_list else f"Links for {top.name}"
    metas = [_meta("pypi:repository-version", API_VERSION)]
    if not top.is_list:
        metas.append(_meta("pypi:project-status", top.status))
    if top.status_reason:
        metas.append(_meta("pypi:project-status-reason", top.status_reason))
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        *metas,
        f"<title>{escape(title)}</title>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        "",
    ]
    return "\n".join(lines).encode("utf-8", "replace")


def _compact(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"))


def _text(value: str) -> str:
    return json.dumps(value)
