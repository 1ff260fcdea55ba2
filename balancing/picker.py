"""Which node serves a download: what a project's delivery calls.

    found = picker.order(digest, picker.holders(digest), "rendezvous", key=client)

Where a file is is asked of the database once a second in each process, and nothing else here asks it in the common
case; nothing asks the shared store but a redirect with a `key`.

**Clients that ask again.** Delivery that redirects a GET of a whole file passes what identifies the client as `key`
(token and address, say). `order` then remembers in the shared store, in one round trip, that this client is sent to the
first node for this file, and learns in the same round trip where it was sent for it within the last half minute. That
node is then put last for this client, and `balancing.again` decides whether the repeat is held against it. Requests for
parts of a file, HEAD requests and proxied downloads pass no key.

**Load.** Policies see transfers that this process relays, and redirects of the last seconds, which fade by half in ten
seconds: so a file that everybody wants flows over to its next nodes also where nodes are only redirected to.
`max_conns` is held against what the node itself said when it was last probed, and what this process relays.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from django.core.signals import setting_changed
from django.db import DatabaseError, InterfaceError
from django.dispatch import receiver

from balancing import again, conf, health, observed, signals, snapshot, stats
from balancing.fleet import Admin
from balancing.models import Replica, ReplicaState
from balancing.picture import NodeView, Picture
from balancing.policies import DEFAULT, POLICIES, Candidate, Policy
from balancing.policies.zone_aware import ZoneAware

FRESH = 0.1  # seconds for which candidates are kept; each one's load is renewed as it changes
MOST_FILES = 10_000  # whose places are remembered in this process

log = logging.getLogger("balancing")
_lock = threading.Lock()
_files: "OrderedDict[str, tuple[float, frozenset[str]]]" = OrderedDict()
_policies: dict[str, Policy] = {}
_ends = threading.Condition()


@dataclass(frozen=True, slots=True)
class _Board:
    """The nodes that may be picked, ready for the policies."""

    made: float
    picture: Picture
    candidates: dict[str, Candidate]
    panic: bool


_board = _Board(-1.0, Picture(), {}, panic=False)


def order(digest: str, holders: AbstractSet[str], policy: str = DEFAULT, key: str = "") -> list[NodeView]:
    """The holders that may be picked now, the best first. Raises ValueError for a policy that does not exist."""
    chosen, board = _policy(policy), _current()
    # In the board's order, so that the same nodes are the same tuple to the hash's memory.
    ready = [one for name, one in board.candidates.items() if name in holders]
    if not ready:
        return []
    views = board.picture.by_name
    found = [views[one.id] for one in chosen.order(digest, ready)]
    return _without_repeat(found, key, digest) if key and found else found


def pick(digest: str, holders: AbstractSet[str], policy: str = DEFAULT, key: str = "") -> NodeView | None:
    """The first of `order`; None where nobody may be picked."""
    return next(iter(order(digest, holders, policy, key)), None)


def in_panic() -> bool:
    """True while health is ignored because too few nodes are healthy: who can serve by himself does better."""
    return _current().panic


def holders(digest: str) -> frozenset[str]:
    """The nodes with a verified copy, as of `PICTURE_SECONDS` ago at most. None where the database does not answer."""
    now = time.monotonic()
    with _lock:
        known = _files.get(digest)
        if known is not None and now - known[0] < conf.get().picture_seconds:
            _files.move_to_end(digest)
            return known[1]
    try:
        rows = Replica.objects.filter(digest=digest, state=ReplicaState.VERIFIED).order_by()
        found = frozenset(rows.values_list("node_id", flat=True))
    except (DatabaseError, InterfaceError) as error:
        log.warning("Nobody knows where %s is: %s", digest, error)
        return frozenset()
    with _lock:
        _files[digest] = now, found
        _files.move_to_end(digest)
        if len(_files) > MOST_FILES:
            _files.popitem(last=False)
    return found


def forget(digest: str) -> None:
    """The file's places have changed: ask the database next time."""
    with _lock:
        _files.pop(digest, None)


def begun(name: str) -> None:
    """A transfer from the node, relayed by this process, begins."""
    load, live = observed.begun(name)
    view = _board.picture.member(name)
    _load(name, load, full=view is not None and 0 < view.max_conns <= live)


def ended(name: str, seconds: float, ok: bool | None, size: int = 0) -> None:
    """A transfer that was begun is over: after `seconds`, whole or not, `size` bytes.

    `ok` is None where nothing can be said of the node: its client left, say. What it says of the node's health is told
    to `balancing.health`.
    """
    _load(name, observed.ended(name, seconds, ok=ok))
    stats.count(name, size)
    with _ends:
        _ends.notify_all()


def are_full(holders: AbstractSet[str]) -> bool:
    """True where a holder would be picked, had it not as many transfers as it may have."""
    board = _current()
    weights = board.picture.selection(time.time()).weights
    return any(weights.get(name, 0) > 0 and board.picture.by_name[name].max_conns for name in holders)


def wait_for_an_end(seconds: float) -> None:
    """Wait until a transfer of this process has ended, or so long."""
    with _ends:
        _ends.wait(seconds)


def redirected(name: str, digest: str, client_key: str = "", size: int = 0) -> None:
    """A client is being redirected to the node for `size` bytes; the key is the one that `order` was given."""
    _load(name, observed.redirected(name))
    stats.count(name, size)
    if client_key:
        again.moved(client_key, digest, name)


def reset() -> None:
    """Forget everything that this process has seen."""
    global _board  # noqa: PLW0603 - one per process
    with _lock:
        _files.clear()
        _policies.clear()
        _board = _Board(-1.0, Picture(), {}, panic=False)
    observed.reset()
    again.reset()


def _without_repeat(found: list[NodeView], client: str, digest: str) -> list[NodeView]:
    previous = again.sent(client, digest, found[0].name)
    if previous is None:
        return found
    signals.repeated.send_robust(sender=None, node=previous, digest=digest)
    if again.is_evidence(client, digest, previous):
        health.asked_again(previous)
    return sorted(found, key=lambda one: one.name == previous)


def _policy(name: str) -> Policy:
    made = _policies.get(name)
    if made is None:
        if name not in POLICIES:
            raise ValueError(f"There is no policy {name!r}; there are {', '.join(POLICIES)}.")
        with _lock:
            made = _policies.setdefault(name, _made(name))
    return made


def _made(name: str) -> Policy:
    kind, zone = POLICIES[name], conf.get().zone
    return ZoneAware((zone,) if zone else ()) if kind is ZoneAware else kind()


def _current() -> _Board:
    global _board  # noqa: PLW0603 - one per process; threads that make it at the same time make the same
    seen, now, held = snapshot.current(), time.monotonic(), _board
    if held.picture is not seen or not 0 <= now - held.made < FRESH:
        selection = seen.selection(time.time())
        held = _Board(now, seen, dict(_candidates(seen, selection.weights)), selection.panic)
        if held.picture.number != _board.picture.number:
            observed.forget_all_but(set(seen.by_name))
        _board = held
    return held


def _candidates(seen: Picture, weights: dict[str, float]) -> Iterable[tuple[str, Candidate]]:
    sizes: dict[str, int] = {}
    for one in seen.nodes:
        if one.admin is Admin.ACTIVE:
            sizes[one.zone] = sizes.get(one.zone, 0) + 1
    for name, weight in weights.items():
        view = seen.by_name[name]
        load, live, ewma, failing = observed.now_seen(name)
        if view.max_conns and max(view.in_flight, live) >= view.max_conns:
            continue
        times, faults = ewma or view.latency, max(failing, view.failing)
        yield name, Candidate(name, weight, view.zone, load, times, 0, min(1.0, faults), sizes.get(view.zone, 0))


def _load(name: str, load: int, *, full: bool = False) -> None:
    """Let the next choice see the node's new load. The next board finds out again whether it is full."""
    old = _board.candidates.get(name)
    if old is not None:
        weight = 0.0 if full else old.weight
        new = Candidate(old.id, weight, old.zone, load, old.ewma, 0, old.failing, old.zone_size)
        _board.candidates[name] = new


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting == "BALANCING":
        reset()
