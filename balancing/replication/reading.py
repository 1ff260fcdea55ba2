"""The original's bytes on their way to a node: counted, paced, and the lease renewed while they flow."""

import io
import time
from collections.abc import Callable
from typing import BinaryIO

SLICE = 0.25  # seconds of the allowed rate that one read gives at most, so that the flow is even
RENEWAL = 2.0  # seconds between two notes of the progress, at most


class SourceError(Exception):
    """The original cannot be read. Not an OSError, which a node's client would take for its own."""


class LeaseLost(Exception):
    """The copy is no longer wanted, or another transfer has taken it over."""


class Metered(io.RawIOBase):
    """Reads `source`. `rate` gives bytes a second, 0 for no limit, and is asked anew at each renewal.

    `heard` is told all bytes. `renew` is called with the number of bytes read so far every `every` seconds; where it
    answers False, the read raises LeaseLost.
    """

    def __init__(
        self,
        source: BinaryIO,
        renew: Callable[[int], bool],
        rate: Callable[[], float],
        every: float = RENEWAL,
        heard: Callable[[bytes], object] = lambda _: None,
    ) -> None:
        self._source, self._renew, self._ask_rate, self._every = source, renew, rate, every
        self._rate, self._renewed, self._heard = rate(), time.monotonic(), heard
        self._free_at = time.monotonic()  # when the bytes so far are paid for
        self.sent = 0
        self.fault: Exception | None = None
        """What a read has raised; a node's client may have made something of its own of it."""

    def readable(self) -> bool:
        """It is only that."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes. Raises SourceError, LeaseLost."""
        try:
            return self._read(size)
        except (SourceError, LeaseLost) as error:
            self.fault = error
            raise

    def _read(self, size: int) -> bytes:
        if self._rate:
            most = max(1, int(self._rate * SLICE))
            size = most if size < 0 else min(size, most)
            time.sleep(max(0.0, self._free_at - time.monotonic()))
        try:
            data = self._source.read(size)
        except OSError as error:
            raise SourceError(f"The original cannot be read: {error}") from error
        self.sent += len(data)
        self._heard(data)
        if self._rate:
            self._free_at = max(self._free_at, time.monotonic() - SLICE) + len(data) / self._rate
        if time.monotonic() - self._renewed >= self._every:
            self._note()
        return data

    def _note(self) -> None:
        self._renewed = time.monotonic()
        self._rate = self._ask_rate()
        if not self._renew(self.sent):
            raise LeaseLost
