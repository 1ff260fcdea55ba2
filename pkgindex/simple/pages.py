"""The pages of the simple repository API as values, before any serialisation. Imports no Django."""

from dataclasses import dataclass
from datetime import datetime

from pkgindex.catalog.names import version_key

QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of a project's page. Digests are lower-case hex; `uploaded_at` is aware; `size` is bytes.

    An empty `requires_python` and a `metadata_sha256` of None mean that there is none.
    """

    filename: str
    version: str
    sha256: str
    size: int
    uploaded_at: datetime
    requires_python: str = ""
    yanked: bool = False
    yanked_reason: str = ""
    metadata_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class DetailPage:
    """A project's page: its status (PEP 792) and its files as `in_order` puts them."""

    name: str
    serial: int
    status: str = "active"
    status_reason: str = ""
    files: tuple[PageFile, ...] = ()

    @property
    def versions(self) -> list[str]:
        """Every version that has a file, once, in the order of the files."""
        return list(dict.fromkeys(file.version for file in self.files))


@dataclass(frozen=True, slots=True)
class ListedProject:
    """One line of the list of projects: the name as its owner writes it, and where its page is."""

    name: str
    normalized_name: str
    serial: int


@dataclass(frozen=True, slots=True)
class RootPage:
    """The list of projects of an index."""

    serial: int
    projects: tuple[ListedProject, ...] = ()


Page = DetailPage | RootPage


def in_order(files: list[PageFile]) -> tuple[PageFile, ...]:
    """The files by version as PEP 440 orders them, then by file name."""
    ordered = sorted({file.version for file in files}, key=version_key)
    ranks = {version: rank for rank, version in enumerate(ordered)}  # numbers compare faster than versions
    return tuple(sorted(files, key=lambda file: (ranks[file.version], file.filename)))
