"""What the pages show, as frozen values, and the choices behind them. Imports no Django.

Core metadata was written by whoever uploaded: every reader here takes it as hostile and of any shape.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

from packaging.version import Version

from pkgindex.catalog.names import version_key

T = TypeVar("T")

TEXT_LIMIT = 1_000  # characters of one metadata field
LINKS_LIMIT = 30
DESCRIPTION_LIMIT = 200_000  # characters of a description that a page carries

STATUS_MEANING = {
    "archived": "No new files are accepted. What is published stays available.",
    "deprecated": "Still available, but its maintainers advise against using it.",
    "quarantined": "Considered unsafe until someone has looked at it: no files are offered and none are accepted.",
}


@dataclass(frozen=True, slots=True)
class Sheet(Generic[T]):
    """One page of a long list; `number` and `last` count pages from 1, `total` is of the whole list."""

    lines: tuple[T, ...]
    number: int
    last: int
    total: int


@dataclass(frozen=True, slots=True)
class VersionMark:
    """As much of a release as choosing and ordering takes."""

    release_id: int
    version: str
    yanked: bool


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A project in a list."""

    name: str
    normalized_name: str
    status: str
    version: str
    summary: str


@dataclass(frozen=True, slots=True)
class RecentUpload:
    """A release that lately got a file."""

    name: str
    normalized_name: str
    version: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """What an index's page says of the whole index."""

    projects: int
    files: int
    recent: tuple[RecentUpload, ...]


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """A release in a project's table."""

    version: str
    created_at: datetime
    files: int
    yanked: bool
    yanked_reason: str


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file of the chosen release; `path` is where its bytes are served, `size` in bytes."""

    filename: str
    path: str
    kind: str
    sha256: str
    has_metadata: bool
    size: int
    uploaded_at: datetime
    requires_python: str
    yanked: bool
    yanked_reason: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link that an uploader chose; its scheme is http or https."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The core metadata that a project's page shows; empty text for what is not there."""

    license: str = ""
    author: str = ""
    maintainer: str = ""
    keywords: str = ""
    content_type: str = ""
    links: tuple[Link, ...] = ()
    requires: tuple[str, ...] = ()


def file_path(sha256: str, filename: str, prefix: str = "/") -> str:
    """The address of a file, which names its content; `prefix` is the path that the application is mounted under."""
    return f"{prefix}packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{quote(filename, safe='')}"


def sort_versions(marks: Iterable[VersionMark]) -> list[VersionMark]:
    """Highest version first, by PEP 440."""
    return sorted(marks, key=lambda mark: version_key(mark.version), reverse=True)


def latest(marks: Sequence[VersionMark]) -> VersionMark | None:
    """The release that stands for the project, as PyPI chooses: not yanked, then final, then highest."""
    return max(marks, key=_rank, default=None)


def _rank(mark: VersionMark) -> tuple[bool, bool, tuple[int, Version | str]]:
    key = version_key(mark.version)
    final = isinstance(key[1], Version) and not key[1].is_prerelease
    return (not mark.yanked, final, key)


def distinct(uploads: Iterable[RecentUpload], most: int) -> tuple[RecentUpload, ...]:
    """The first `most` releases: several files of one count once."""
    seen: dict[tuple[str, str], RecentUpload] = {}
    for upload in uploads:
        seen.setdefault((upload.normalized_name, upload.version), upload)
        if len(seen) == most:
            break
    return tuple(seen.values())


def facts(metadata: object) -> Facts:
    """The facts in a release's stored metadata."""
    if not isinstance(metadata, Mapping):
        return Facts()
    return Facts(
        license=_first(metadata, "license_expression", "license"),
        author=_person(metadata, "author"),
        maintainer=_person(metadata, "maintainer"),
        keywords=_text(metadata.get("keywords")),
        content_type=_text(metadata.get("description_content_type")),
        links=_links(metadata),
        requires=_texts(metadata.get("requires_dist")),
    )


def _text(value: object) -> str:
    return " ".join(value.split())[:TEXT_LIMIT] if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(text for text in map(_text, value[:500]) if text)


def _first(metadata: Mapping[str, Any], *keys: str) -> str:
    return next((text for text in (_text(metadata.get(key)) for key in keys) if text), "")


def _person(metadata: Mapping[str, Any], role: str) -> str:
    name, email = _text(metadata.get(role)), _text(metadata.get(f"{role}_email"))
    return f"{name} <{email}>" if name and email and "<" not in email else email or name


def _links(metadata: Mapping[str, Any]) -> tuple[Link, ...]:
    urls = metadata.get("project_urls")
    pairs = list(urls.items())[:LINKS_LIMIT] if isinstance(urls, Mapping) else []
    pairs.insert(0, ("Homepage", metadata.get("home_page")))
    found: dict[str, Link] = {}
    for label, value in pairs:
        url = _web_address(value)
        if url:
            found.setdefault(url, Link(_text(label) or urlsplit(url).netloc, url))
    return tuple(found.values())


def _web_address(value: object) -> str:
    """The address where a browser may follow it; empty for every scheme but http and https, and for nonsense."""
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > TEXT_LIMIT or not text.isprintable() or " " in text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in {"http", "https"} and parts.hostname else ""
