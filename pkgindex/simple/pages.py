"""What the pages of the simple repository API are made of, before any serialisation. Imports no Django."""

from dataclasses import dataclass
from datetime import datetime

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
class ListedProject:
    """One line of the list of projects: the name as its owner writes it, where its page is, and its last serial."""

    name: str
    normalized_name: str
    serial: int


@dataclass(frozen=True, slots=True)
class Top:
    """What a page says besides its lines: of a project its name and status (PEP 792), of the list the serial alone."""

    serial: int
    name: str = ""
    status: str = "active"
    status_reason: str = ""

    @property
    def is_list(self) -> bool:
        """True for the list of projects."""
        return not self.name
