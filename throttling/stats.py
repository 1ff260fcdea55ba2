"""How often each limit refused, or in shadow mode would have: kept here for a moment, summed in the store."""

import threading
import time
from collections import Counter

from throttling import store
from throttling.rates import Limit

FLUSH_SECONDS = 1.0

_lock = threading.Lock()
_pending: Counter[str] = Counter()
_flushed = 0.0


def refused(limit: Limit, *, shadow: bool) -> None:
    """Count one refusal of a limit, real or in shadow."""
    with _lock:
        _pending[_name(limit.key, shadow=shadow)] += 1
    flush(patient=True)


def are_due() -> bool:
    """True where something is kept here that a patient `flush` would add to the store."""
    return bool(_pending) and time.monotonic() - _flushed >= FLUSH_SECONDS


def flush(*, patient: bool = False) -> None:
    """Add what is kept here to the store; a patient one at most once a second."""
    global _flushed  # noqa: PLW0603 - one moment per process
    now = time.monotonic()
    if not _pending or (patient and now - _flushed < FLUSH_SECONDS):
        return
    with _lock:
        taken = dict(_pending)
        _pending.clear()
        _flushed = now
    for name, more in taken.items():
        store.get().count(name, more)


def counted(key: str) -> tuple[int, int]:
    """How often the limit of this key refused, and would have refused, on all hosts."""
    flush()
    held = store.get()
    return held.counted(_name(key, shadow=False)), held.counted(_name(key, shadow=True))


def _name(key: str, *, shadow: bool) -> str:
    return f"{key}:{'shadow' if shadow else 'refused'}"
