"""What this process sees of each node by itself: transfers going on, redirects of the last seconds, times, faults.

None of it is shared. A process that serves 1 of n requests sees 1 of n of the load on every node, so the proportions,
by which policies choose, are right.
"""

import threading
import time
from math import exp, log

from balancing.policies.peak_ewma import updated

HALF = 10.0  # seconds in which half of the redirects to a node are believed to be over
FAULTS = 60.0  # seconds in which most faults are forgotten
FEWEST = 5  # transfers, below which a share of failed ones says nothing
_FADE = log(2) / HALF

_lock = threading.Lock()
_seen: dict[str, "Observed"] = {}


class Observed:
    """One node. Methods are called while the lock is held."""

    __slots__ = ("broken", "ewma", "ewma_at", "live", "recent", "recent_at", "tried", "tried_at")

    def __init__(self) -> None:
        self.live, self.ewma = 0, 0.0
        self.recent = self.broken = self.tried = 0.0
        self.recent_at = self.ewma_at = self.tried_at = time.monotonic()

    def redirects(self, now: float) -> float:
        """Redirects that are believed to be going on."""
        return self.recent * exp(-max(0.0, now - self.recent_at) * _FADE) if self.recent else 0.0

    def redirected(self, now: float) -> None:
        """One more."""
        self.recent, self.recent_at = self.redirects(now) + 1, now

    def ended(self, now: float, seconds: float, ok: bool | None) -> None:
        """A transfer is over; None where it says nothing of the node."""
        self.live = max(0, self.live - 1)
        if ok is None:
            return
        kept = exp(-max(0.0, now - self.tried_at) / FAULTS)
        self.tried, self.broken, self.tried_at = self.tried * kept + 1, self.broken * kept + (not ok), now
        if ok:
            self.ewma, self.ewma_at = updated(self.ewma, seconds, now - self.ewma_at), now


def begun(name: str) -> tuple[int, int]:
    """A transfer from the node begins; gives the load, and the transfers going on."""
    with _lock:
        seen = _of(name)
        seen.live += 1
        return seen.live + int(seen.redirects(time.monotonic())), seen.live


def ended(name: str, seconds: float, *, ok: bool | None) -> int:
    """A transfer that was begun is over, after `seconds`; gives the load."""
    now = time.monotonic()
    with _lock:
        seen = _of(name)
        seen.ended(now, seconds, ok)
        return seen.live + int(seen.redirects(now))


def redirected(name: str) -> int:
    """A client was sent to the node; gives the load."""
    now = time.monotonic()
    with _lock:
        seen = _of(name)
        seen.redirected(now)
        return seen.live + int(seen.recent)


def now_seen(name: str) -> tuple[int, int, float, float]:
    """Load, transfers going on, average time in seconds (0: unknown), share of failed transfers."""
    with _lock:
        seen = _seen.get(name)
        if seen is None:
            return 0, 0, 0.0, 0.0
        failing = seen.broken / seen.tried if seen.tried >= FEWEST else 0.0
        return seen.live + int(seen.redirects(time.monotonic())), seen.live, seen.ewma, failing


def forget_all_but(names: set[str]) -> None:
    """Nodes come and go for years."""
    with _lock:
        for name in [name for name, seen in _seen.items() if name not in names and not seen.live]:
            del _seen[name]


def reset() -> None:
    """Forget everything."""
    with _lock:
        _seen.clear()


def _of(name: str) -> Observed:
    found = _seen.get(name)
    if found is None:
        found = _seen[name] = Observed()
    return found
