"""Which of a server's workers takes the next connection, known to all of them, and a way to hand connections over.

The workers of a server wait on one listening socket, and whoever wakes up first takes what comes. Left to chance, the
thirty connections of an installer are halved between two workers: each has to learn and to ask everything, for a third
more of the processor. So connections gather in one worker, the first that is not at its limit. Those at their limit
share by counts, and who has more connections in use than others hands some over
(docs/decisions/0018-connections-gather.md). What all must know lies in memory that they share, made before gunicorn's
arbiter forks them, as is the pair of sockets that carries connections.
"""

import atexit
import marshal
import mmap
import socket
import time
from contextlib import suppress
from struct import Struct
from typing import Any, NamedTuple

SLOTS = 64  # workers beyond that share slots, and are balanced less well
ALIVE_SECONDS = 3.0  # a worker that was not heard of for so long has ended, or hangs
# How long connections are left to others; those that still wait then are taken by anybody. Who is not full takes all,
# so that it may be long; those who are full may leave one to each other.
PAUSE_SECONDS, FULL_PAUSE_SECONDS = 0.05, 0.002

FULL = 1_000  # ranks from here on are those of workers at their limit
NOBODY = 2**31 - 1  # rank of a slot that nobody has
CARRIED = 1_024  # bytes at most of what goes with a connection: two addresses, of which paths have 108

_TIME = Struct("d")  # when it was written, on the monotonic clock of this host
_STATE = Struct("ii")  # rank, and connections over which something was asked lately
_TIMES, _STATES = Struct(f"{SLOTS}d"), Struct(f"{2 * SLOTS}i")
_shared = mmap.mmap(-1, _TIMES.size + _STATES.size)
_STATES.pack_into(_shared, _TIMES.size, *[NOBODY, 0] * SLOTS)


class Mailbox:
    """What some workers hand over and others take: whoever reads first. The kernel bounds how much is on its way."""

    def __init__(self) -> None:
        self.outlet, self._inlet = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (self.outlet, self._inlet):
            end.setblocking(False)
        atexit.register(self.close)

    def close(self) -> None:
        """Nobody hands over or takes any more."""
        self.outlet.close()
        self._inlet.close()

    def put(self, sock: socket.socket, client: Any, server: Any) -> bool:
        """Hand over a connection; False where that cannot be now. The caller closes its own copy."""
        with suppress(OSError, ValueError):
            socket.send_fds(self._inlet, [marshal.dumps((client, server))], [sock.fileno()])
            return True
        return False

    def take(self) -> "Handed | None":
        """A connection that another worker has handed over, if there is one."""
        try:
            told, descriptors, _flags, _address = socket.recv_fds(self.outlet, CARRIED, 1)
        except OSError:
            return None
        if not descriptors:
            return None
        client, server = marshal.loads(told)  # noqa: S302 - of a process of our own
        return Handed(socket.socket(fileno=descriptors[0]), client, server)


surplus = Mailbox()  # what workers at their limit have too much, for whoever has not
gathered = Mailbox()  # what workers with little to do can do without, for those that are not at their limit


class Handed(NamedTuple):
    """A connection of another worker."""

    sock: socket.socket
    client: Any  # its address and ours, as gunicorn has them
    server: Any


class Fellows:
    """The workers of this server as one of them, `number`, sees them."""

    def __init__(self, number: int) -> None:
        self._mine = number % SLOTS
        self._busy = 0
        self.full = False

    def note(self, *, full: bool, busy: int) -> None:
        """Whether this worker is at its limit, and over how many connections it was asked lately, for `tell`."""
        self.full, self._busy = full, busy

    def tell(self, connections: int) -> None:
        """Say that this worker lives and has so many connections; once in `ALIVE_SECONDS` at least."""
        self._write(time.monotonic(), self._rank(connections))

    def leave(self) -> None:
        """Say that this worker takes no connections any more."""
        self._write(0.0, NOBODY)

    def _rank(self, connections: int) -> int:
        return FULL + connections if self.full else self._mine

    def _write(self, when: float, rank: int) -> None:
        _TIME.pack_into(_shared, self._mine * _TIME.size, when)
        _STATE.pack_into(_shared, _TIMES.size + self._mine * _STATE.size, rank, self._busy)

    def pause(self, connections: int) -> float:
        """For how many seconds this worker, which has so many, should leave connections to another one; 0: not at all.

        Small differences between those at their limit are not worth a pause.
        """
        rank = self._rank(connections - connections // 4)
        states = _STATES.unpack_from(_shared, _TIMES.size)
        if min(states[::2]) >= rank:  # asked for each connection, and nearly always so
            return 0.0
        first = min([other for other, _ in self._others()], default=NOBODY)
        if first >= rank:
            return 0.0
        return FULL_PAUSE_SECONDS if first >= FULL else PAUSE_SECONDS

    def surplus(self) -> int:
        """How many of its connections in use one that is at its limit should hand over, if it is worth while."""
        if not self.full:
            return 0
        others = [busy for _, busy in self._others()]
        surplus = self._busy - -(-(self._busy + sum(others)) // (len(others) + 1))
        return surplus if 4 * surplus >= self._busy else 0

    def follows(self) -> bool:
        """Whether connections gather in another one: the first that is not at its limit."""
        return min([rank for rank, _ in self._others()], default=NOBODY) < (FULL if self.full else self._mine)

    def _others(self) -> list[tuple[int, int]]:
        """Ranks of the others that live, and over how many connections each was asked lately."""
        now, times = time.monotonic(), _TIMES.unpack_from(_shared)
        states = iter(_STATES.unpack_from(_shared, _TIMES.size))
        return [
            (rank, busy)
            for slot, (written, rank, busy) in enumerate(zip(times, states, states, strict=True))
            if now - written < ALIVE_SECONDS and slot != self._mine
        ]
