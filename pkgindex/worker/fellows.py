"""How many connections each worker has, known to all of them: who has more than another leaves the next one to that.

The workers of a server wait on one listening socket, and whoever wakes up first takes what comes: often the same one
again, which then works while the others sleep. Few connections that last, as installers and uploaders have them, stay
so for minutes. The counts lie in memory that all share, made before gunicorn's arbiter forks the workers.
"""

import mmap
import time
from struct import Struct

SLOTS = 64  # workers beyond that share slots, and are balanced less well
ALIVE_SECONDS = 3.0  # a worker that was not heard of for so long has ended, or hangs
PAUSE_SECONDS = 0.002  # how long a connection is left to others; then whoever wakes up takes it,
CHANCE_SECONDS = 0.05  # if that is soon

NOBODY = 2**31 - 1  # connections of a slot that nobody has

_TIME = Struct("d")  # when it was written, on the monotonic clock of this host
_COUNT = Struct("i")  # connections
_TIMES, _COUNTS = Struct(f"{SLOTS}d"), Struct(f"{SLOTS}i")
_shared = mmap.mmap(-1, _TIMES.size + _COUNTS.size)
_COUNTS.pack_into(_shared, _TIMES.size, *[NOBODY] * SLOTS)


class Fellows:
    """The workers of this server as one of them, `number`, sees them."""

    def __init__(self, number: int) -> None:
        self._mine = number % SLOTS

    def tell(self, connections: int) -> None:
        """Say how many connections this worker has; once in `ALIVE_SECONDS` at least."""
        self._write(time.monotonic(), connections)

    def leave(self) -> None:
        """Say that this worker takes no connections any more."""
        self._write(0.0, NOBODY)

    def _write(self, when: float, connections: int) -> None:
        _TIME.pack_into(_shared, self._mine * _TIME.size, when)
        _COUNT.pack_into(_shared, _TIMES.size + self._mine * _COUNT.size, connections)

    def any_has_fewer_than(self, connections: int) -> bool:
        """Whether another worker that lives has fewer."""
        counts = _COUNTS.unpack_from(_shared, _TIMES.size)
        if min(counts) >= connections:  # asked for each connection, and nearly always so
            return False
        now, times = time.monotonic(), _TIMES.unpack_from(_shared)
        return any(
            count < connections and now - written < ALIVE_SECONDS and slot != self._mine
            for slot, (written, count) in enumerate(zip(times, counts, strict=True))
        )
