"""One worker at a time for one key within this process, so that parallel requests do a slow thing once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

WAIT = 30.0  # seconds after which a waiter goes on by itself: slow work done twice beats a request that hangs


@dataclass(slots=True)
class _Flight:
    lock: threading.Lock = field(default_factory=threading.Lock)
    aboard: int = 0


class SingleFlight:
    """Locks by key that exist only while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}
        self._lock = threading.Lock()

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Hold `key`; whoever comes next waits, and should look for the first one's result before working."""
        with self._lock:
            flight = self._flights.setdefault(key, _Flight())
            flight.aboard += 1
        held = flight.lock.acquire(timeout=WAIT)
        try:
            yield
        finally:
            if held:
                flight.lock.release()
            with self._lock:
                flight.aboard -= 1
                if not flight.aboard:
                    del self._flights[key]
