"""Whole pages at once, in the plainest way: what serialised pages are read from and built ones compared with."""

from dataclasses import dataclass

from pkgindex.catalog.names import version_key
from pkgindex.simple import serialize as parts
from pkgindex.simple.pages import ListedProject, PageFile, Top
from pkgindex.simple.serialize import Format


@dataclass(frozen=True)
class DetailPage:
    """A project's page with its files as `in_order` puts them."""

    name: str
    serial: int
    status: str = "active"
    status_reason: str = ""
    files: tuple[PageFile, ...] = ()


@dataclass(frozen=True)
class RootPage:
    """The list of projects of an index."""

    serial: int
    projects: tuple[ListedProject, ...] = ()


def in_order(files: list[PageFile]) -> tuple[PageFile, ...]:
    """The files by version as PEP 440 orders them, then by file name."""
    return tuple(sorted(files, key=lambda file: (version_key(file.version), file.filename)))


def serialize(page: DetailPage | RootPage, form: Format, prefix: str = "/") -> bytes:
    """The page's bytes."""
    if isinstance(page, RootPage):
        top, versions, lines = Top(page.serial), [], parts.project_lines(page.projects, form)
    else:
        top = Top(page.serial, page.name, page.status, page.status_reason)
        versions = list(dict.fromkeys(file.version for file in page.files))
        lines = parts.file_lines(page.files, form, prefix)
    return parts.head(top, versions, form) + lines + parts.tail(top, form)


def detail_json(page: DetailPage) -> bytes:
    return serialize(page, Format.JSON)


def detail_html(page: DetailPage) -> bytes:
    return serialize(page, Format.HTML)


root_json, root_html = detail_json, detail_html
