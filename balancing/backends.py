"""What every kind of node can do, whether it is our node server or a bucket."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO


class NodeError(Exception):
    """The node refused or could not be reached; `code` is the node's own, or `unreachable` or `bad_answer`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code

    @property
    def retryable(self) -> bool:
        """True where the same call may succeed later."""
        return self.code in {"unreachable", "bad_answer", "incomplete", "too_slow", "disk_full"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of an inventory: (digest, bytes) by ascending digest; `after` continues, None at the end."""

    files: tuple[tuple[str, int], ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a node says of itself: free bytes (None: unlimited), load, transfers in flight."""

    free: int | None = None
    load: float = 0.0
    in_flight: int = 0


class Backend(ABC):
    """One node. Every method raises NodeError; every wait is bounded."""

    @abstractmethod
    def put(self, digest: str, size: int, source: BinaryIO) -> None:
        """Send a file; on return it is whole, checked and durable on the node."""

    @abstractmethod
    def has(self, digest: str) -> int | None:
        """The size of the node's copy; None where it has none."""

    @abstractmethod
    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to before `end` in blocks. The answer's head has arrived when this returns.

        Raises NodeError also in the middle, where the node stops early. Closing the iterator closes the connection.
        """

    @abstractmethod
    def delete(self, digest: str) -> None:
        """Remove a copy; an absent one is no error."""

    @abstractmethod
    def inventory(self, after: str = "", limit: int = 1000) -> Page:
        """One page of what the node has."""

    @abstractmethod
    def scrub(self, digest: str) -> bool:
        """Have the copy's bytes read again; False where it was damaged, and it is then removed."""

    @abstractmethod
    def condition(self) -> Condition:
        """How the node is. Also the active probe: it touches what a download needs."""

    @abstractmethod
    def url(self, digest: str, now: float, life: int) -> str:
        """An absolute signed URL for GET and HEAD, good for at least `life` seconds, the same for the hour."""
