"""What a shelf for ready pages can do. No Django."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pkgindex.simple.negotiate import Encoding

KEEP_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Item:
    """A page in one content coding: the version that it was built for, its own serial, 64 hex digits of its tag."""

    version: int
    serial: int
    etag: str
    body: bytes


class Shelf(ABC):
    """Keeps each page in its newest version for a while. A server that fails costs speed: nothing here raises."""

    @abstractmethod
    def get(self, page: str, encoding: Encoding) -> Item | None:
        """The page in that coding; None where it is not there, in part or as a whole, or nobody answers in time."""

    @abstractmethod
    def may_have(self, page: str, version: int) -> bool:
        """False where it is cheap to tell that the page is not there in that version."""

    @abstractmethod
    def put(self, page: str, version: int, serial: int, etag: str, bodies: Mapping[Encoding, bytes]) -> None:
        """Keep a page in place of an older one."""

    def words(self, page: str, encoding: Encoding) -> tuple[str, ...]:  # noqa: ARG002 - others make use of it
        """The command of Redis that reads what `get` does, for `item`; none where Redis does not have it."""
        return ()

    def item(self, raw: Sequence[bytes | None]) -> Item | None:  # noqa: ARG002
        """The page, of what Redis has answered; None where it is not there, in part or as a whole."""
        return None

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Let go of connections of its own; the next call opens others."""


class NullShelf(Shelf):
    """Keeps nothing: every process builds for itself."""

    def get(self, page: str, encoding: Encoding) -> Item | None:  # noqa: ARG002
        """Nothing."""
        return None

    def may_have(self, page: str, version: int) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def put(self, page: str, version: int, serial: int, etag: str, bodies: Mapping[Encoding, bytes]) -> None:
        """Nothing to do."""
