"""What every kind of node can do, whether it is our node server or a bucket. Pure.

| code of a NodeError | what happened |
|---|---|
| `unreachable` | no connection, or it broke |
| `too_slow` | nothing came for too long, or too little |
| `incomplete` | the bytes ended early, ours or the node's |
| `bad_answer` | what answered does not behave as a node |
| `refused` | the bucket's service does not let us in |
| `not_found` | there is no such copy |
| `digest_mismatch` | the bytes are not those of the digest |
| `disk_full` | no room |

A node server's own codes, such as `signature_expired`, are passed on.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, Self

BLOCK = 1 << 16  # bytes that are read and sent at a time

_AGAIN = frozenset(
    {"unreachable", "bad_answer", "incomplete", "too_slow", "disk_full", "refused"}
    | {"signature_missing", "signature_invalid", "signature_expired"}  # keys and clocks are put right
)


class NodeError(Exception):
    """The node refused or could not be reached; `code` says why to programs, the message says it to people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code

    @property
    def retryable(self) -> bool:
        """True where the same call may succeed later."""
        return self.code in _AGAIN


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


class Blocks(Protocol):
    """Bytes that arrive, block by block. Closing it closes the connection, at any time, also before the first block."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    def close(self) -> None:
        """End it; no error where it has ended."""


class Backend(ABC):
    """One node. Every method raises NodeError; every wait is bounded."""

    @abstractmethod
    def put(self, digest: str, size: int, source: BinaryIO) -> None:
        """Send a file; on return it is whole, checked and durable on the node.

        Only an error of the source itself is raised as it is.
        """

    @abstractmethod
    def has(self, digest: str) -> int | None:
        """The size of the node's copy; None where it has none."""

    @abstractmethod
    def read(self, digest: str, start: int = 0, end: int | None = None) -> Blocks:
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
        """Have the copy's bytes read again; False where it was damaged, and it is then removed.

        Raises NodeError `not_found` where there is no copy.
        """

    @abstractmethod
    def condition(self) -> Condition:
        """How the node is. Also the active probe: it touches what a download needs."""

    @abstractmethod
    def url(self, digest: str, now: float, life: int) -> str:
        """An absolute signed URL for GET, good for at least `life` seconds, the same for the hour.

        A node server's is good for HEAD too; S3 signs the method, so a bucket's is not.
        """


class Nothing:
    """Blocks of an empty file or range."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        raise StopIteration

    def close(self) -> None:
        """Nothing is open."""
