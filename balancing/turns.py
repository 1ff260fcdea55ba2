"""One node's part in a stream, and who is told how it went. Pure.

Times count the waiting for the node only, so that a slow client makes no node look slow.
"""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

from balancing.backends import Backend, Blocks, NodeError

PATIENCE = 20.0
"""Seconds. A node that gave up after its client had not read for so long did nothing wrong: nginx waits for 60."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went with one node. `seconds` is the time that we waited for it, `size` the bytes that it gave.

    `ok` is None where nothing can be said of the node: the client left or was slow, or another may be guilty. `reason`
    is the code of a NodeError, or `corrupt`, `closed`, `slow_client`, `doubtful`.
    """

    node: str
    seconds: float
    size: int
    ok: bool | None
    reason: str = ""


def _ignore(_: object) -> None:
    """For callers who do not want to know."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told. Each `opened` is followed by one `ended`, so transfers can be counted.

    `doubted` hears the nodes that gave bytes of a whole file whose digest turned out wrong: have them scrubbed. Where
    there is one node it is guilty, and `ended` has said so.
    """

    opened: Callable[[str], None] = _ignore
    ended: Callable[[Ended], None] = _ignore
    doubted: Callable[[tuple[str, ...]], None] = _ignore


@dataclass(slots=True)
class Turn:
    """One node's part in a stream."""

    node: str
    listener: Listener
    waited: float = 0.0
    size: int = 0
    idle: float = 0.0

    def blocks(self, backend: Backend, digest: str, start: int, end: int) -> Generator[bytes, None, None]:
        """What the node gives: exactly these bytes, or NodeError in the end."""
        began = time.monotonic()
        try:
            arriving = backend.read(digest, start, end)
        finally:
            self.waited += time.monotonic() - began
        with closing(arriving):
            while block := self._next(arriving):
                self.size += len(block)
                left = time.monotonic()
                yield block
                self.idle = max(self.idle, time.monotonic() - left)
        if self.size != end - start:
            raise NodeError("incomplete", f"The node gave {self.size} bytes instead of {end - start}.")

    def _next(self, arriving: Blocks) -> bytes:
        began = time.monotonic()
        try:
            return next(arriving, b"")
        finally:
            self.waited += time.monotonic() - began

    def end(self, reason: str = "", *, ok: bool | None = None) -> None:
        """Tell how it went."""
        if ok is False and self.idle > PATIENCE and reason != "corrupt":
            ok, reason = None, "slow_client"
        self.listener.ended(Ended(self.node, self.waited, self.size, ok, reason))
