"""nginx's `queue`: where every healthy holder is at its `max_conns`, a download waits a moment for a place.

At most `QUEUE` downloads of a process wait, each for `QUEUE_SECONDS` at most; whoever finds the queue full, or waits in
vain, gets no node, and the project serves by itself. Meant for transfers that are relayed, whose ends are seen here.
"""

import threading
import time
from collections.abc import Set as AbstractSet

from balancing import conf, picker
from balancing.picture import NodeView
from balancing.policies import DEFAULT

LONGEST_LOOK = 0.1  # seconds: places also come free on what probes hear, of which nobody tells

_lock = threading.Lock()
_waiting = 0


def order(digest: str, holders: AbstractSet[str], policy: str = DEFAULT, key: str = "") -> list[NodeView]:
    """As `picker.order`, after a wait where there is none but full nodes. Raises ValueError as it does."""
    found = picker.order(digest, holders, policy, key)
    if found or not conf.get().queue or not picker.are_full(holders) or not _enter():
        return found
    try:
        end = time.monotonic() + conf.get().queue_seconds
        while not found and (left := end - time.monotonic()) > 0:
            picker.wait_for_an_end(min(left, LONGEST_LOOK))
            found = picker.order(digest, holders, policy, key)
        return found
    finally:
        _leave()


def _enter() -> bool:
    global _waiting  # noqa: PLW0603 - one queue per process
    with _lock:
        if _waiting >= conf.get().queue:
            return False
        _waiting += 1
        return True


def _leave() -> None:
    global _waiting  # noqa: PLW0603 - see _enter
    with _lock:
        _waiting -= 1
