"""Clients that ask for a file again right after they were sent to a node for it: it may not have served them.

One request says little: a build farm with one token asks for the same file many times. So a repeat is held against the
node only where

- it is the first in a minute of this client, and the first of this file, that is held against this node;
- repeats are a tenth at least of what this process lately sent to the node, and twice the share of the usual node: what
  all nodes have in common, such as clients that repeat everything, is nobody's fault.

Who was sent where is kept for `WINDOW` seconds in the shared store: one GET and SET in one round trip, made by the
process that redirects. While the store is away a bounded memory of this process stands in.
"""

import threading
import time
from collections import OrderedDict
from hashlib import blake2b
from math import exp
from statistics import median
from typing import Any

from balancing import shared

WINDOW = 30
ONCE = 60  # seconds in which one client, or one file, counts once against one node
SHARE, TIMES = 0.1, 2.0
FADE = 60.0  # seconds
MOST = 10_000  # redirects remembered in this process
MOST_NODES = 4_096

_lock = threading.Lock()
_sent: "OrderedDict[str, tuple[str, float]]" = OrderedDict()
_blamed: "OrderedDict[str, float]" = OrderedDict()
_counts: dict[str, tuple[float, float, float]] = {}  # node -> sent, repeated, when


def sent(client: str, digest: str, node: str) -> str | None:
    """Remember that the client is sent to the node for the file; gives the node it was sent to within `WINDOW`."""
    name = _name(client, digest)
    here = _swap(name, node)
    there: tuple[bytes | None, bool] | None = shared.ask(lambda redis: _exchange(redis, name, node), None)
    previous = here if there is None else there[0].decode() if there[0] else None
    _count(node, 1, 0)
    return previous


def moved(client: str, digest: str, node: str) -> None:
    """The client goes to this node instead; asks the store only where another one was remembered."""
    name = _name(client, digest)
    if _swap(name, node) != node:
        shared.ask(lambda redis: redis.set(_key(name), node, ex=WINDOW), None)


def is_evidence(client: str, digest: str, node: str) -> bool:
    """The client was sent to the node for the file, and asks again: True where that speaks against the node."""
    _count(node, 0, 1)
    if not _is_unusual(node):
        return False
    names = [_name(node, client), _name(node, digest)]
    firsts = [_first(name) for name in names]  # both are remembered, whatever the other is
    if not all(firsts):
        return False
    return shared.ask(lambda redis: _first_anywhere(redis, names), otherwise=True)


def reset() -> None:
    """Forget everything."""
    with _lock:
        _sent.clear()
        _blamed.clear()
        _counts.clear()


def _name(*parts: str) -> str:
    # Names and addresses of people are nobody's business in the store, and may be long.
    return blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _key(name: str) -> str:
    return f"balancing:sent:{name}"


def _swap(name: str, node: str) -> str | None:
    now = time.monotonic()
    with _lock:
        old = _sent.pop(name, None)
        _sent[name] = node, now
        if len(_sent) > MOST:
            _sent.popitem(last=False)
    return old[0] if old and now - old[1] < WINDOW else None


def _exchange(redis: Any, name: str, node: str) -> tuple[bytes | None, bool]:
    pipe = redis.pipeline(transaction=False)
    pipe.get(_key(name))
    pipe.set(_key(name), node, ex=WINDOW)
    found, stored = pipe.execute()
    return found, bool(stored)


def _first(name: str) -> bool:
    now = time.monotonic()
    with _lock:
        at = _blamed.get(name)
        if at is not None and now - at < ONCE:
            return False
        _blamed.pop(name, None)
        _blamed[name] = now
        if len(_blamed) > MOST:
            _blamed.popitem(last=False)
    return True


def _first_anywhere(redis: Any, names: list[str]) -> bool:
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.set(f"balancing:blamed:{name}", 1, ex=ONCE, nx=True)
    return all(pipe.execute())


def _count(node: str, sent_now: int, repeated_now: int) -> None:
    now = time.monotonic()
    with _lock:
        if len(_counts) > MOST_NODES:
            _counts.clear()
        number, repeated, at = _counts.get(node, (0.0, 0.0, now))
        kept = exp((at - now) / FADE)
        _counts[node] = number * kept + sent_now, repeated * kept + repeated_now, now


def _is_unusual(node: str) -> bool:
    with _lock:
        shares = {name: repeated / number if number else 1.0 for name, (number, repeated, _) in _counts.items()}
    own = shares.pop(node)
    return own >= SHARE and own > TIMES * (median(shares.values()) if shares else 0.0)
