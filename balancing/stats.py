"""What each node has served, and how far each is behind with its copies.

Downloads are counted in the process and added to the shared store at most once a second, in hourly buckets that are
kept a day. Copies that wait are counted by an index that holds no finished ones, so a million of those cost nothing.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, OuterRef, Subquery, Sum
from django.db.models.expressions import RawSQL
from django.db.models.fields import BooleanField
from django.utils import timezone

from balancing import shared
from balancing.models import Node, Replica, ReplicaState

KEY = "balancing:served:{hour}"
HOUR, KEPT = 3_600, 25 * 3_600
FLUSH_SECONDS = 1.0
MOST_NODES = 4_096  # names kept while the store is away
BEHIND = (ReplicaState.PENDING, ReplicaState.COPYING, ReplicaState.CORRUPT, ReplicaState.FAILED)
# As the index balancing_replica_waiting: with parameters, SQLite does not recognise a partial index.
WAITING = RawSQL("state IN ('pending', 'copying')", (), output_field=BooleanField())

_lock = threading.Lock()
_pending: dict[str, list[int]] = {}
_flushed = 0.0


@dataclass(frozen=True, slots=True)
class Served:
    """What a node served: downloads begun, bytes, and its share of all downloads from 0 to 1."""

    downloads: int = 0
    bytes: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a node is behind: copies and bytes by state, and for how many seconds the oldest new copy waits."""

    copies: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    oldest: float | None = None

    @property
    def total(self) -> int:
        """Copies that should be there and are not."""
        return sum(self.copies.values())


def count(name: str, size: int = 0) -> None:
    """The node serves a download of `size` bytes, 0 where that is not known."""
    with _lock:
        if name in _pending or len(_pending) < MOST_NODES:
            held = _pending.setdefault(name, [0, 0])
            held[0] += 1
            held[1] += size
    flush(patient=True)


def flush(*, patient: bool = False) -> None:
    """Add what is kept here to the store; a patient one at most once a second. What it does not take is kept."""
    global _pending, _flushed
    if not _pending or (patient and time.monotonic() - _flushed < FLUSH_SECONDS):
        return
    with _lock:
        taken, _pending, _flushed = _pending, {}, time.monotonic()
    if taken and not shared.ask(lambda client: _add(client, taken), otherwise=False):
        with _lock:
            for name, (downloads, size) in taken.items():
                held = _pending.setdefault(name, [0, 0])
                held[0] += downloads
                held[1] += size


def reset() -> None:
    """Forget what was not added yet."""
    global _flushed  # noqa: PLW0603 - see flush
    with _lock:
        _pending.clear()
        _flushed = 0.0


def served(now: float | None = None) -> dict[str, Served]:
    """What each node served in the last hour: this clock hour's, and of the one before the part that is not over."""
    flush()
    moment = time.time() if now is None else now
    hour, passed = divmod(moment, HOUR)
    keys = [KEY.format(hour=int(hour)), KEY.format(hour=int(hour) - 1)]
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    nothing: list[dict[bytes, bytes]] = [{}, {}]
    buckets = shared.ask(lambda client: _all(client, keys), nothing)
    for part, found in zip((1.0, 1 - passed / HOUR), buckets, strict=True):
        for column, value in found.items():
            name, _, kind = column.decode().rpartition(":")
            sums[name][kind == "b"] += part * int(value)
    total = sum(downloads for downloads, _ in sums.values())
    return {
        name: Served(round(downloads), round(size), downloads / total if total else 0.0)
        for name, (downloads, size) in sorted(sums.items())
    }


def lag(names: Iterable[str] | None = None) -> dict[str, Lag]:
    """How far each of these nodes is behind, or all; two queries."""
    waiting = Replica.objects.filter(WAITING, verified_at__isnull=True, node=OuterRef("pk")).order_by("created_at")
    nodes = Node.objects.annotate(oldest=Subquery(waiting.values("created_at")[:1])).order_by("name")
    if names is not None:
        nodes = nodes.filter(pk__in=list(names))
    oldest = dict(nodes.values_list("pk", "oldest"))
    rows = Replica.objects.filter(node__in=list(oldest), state__in=BEHIND).order_by()
    copies: dict[str, dict[str, int]] = defaultdict(dict)
    size: dict[str, dict[str, int]] = defaultdict(dict)
    for node, state, number, total in rows.values_list("node_id", "state").annotate(Count("pk"), Sum("size")):
        copies[node][state], size[node][state] = number, total
    now = timezone.now()
    ages = {name: max(timedelta(), now - at).total_seconds() if at else None for name, at in oldest.items()}
    return {name: Lag(copies.get(name, {}), size.get(name, {}), ages[name]) for name in oldest}


def of_file(digest: str) -> dict[str, Any]:
    """How far a file is: nodes that should have it, those that have, and for how long the others wait at most."""
    rows = Replica.objects.filter(digest=digest).exclude(state__in=[ReplicaState.DELETING, ReplicaState.DELETED])
    found = list(rows.order_by("node_id").values_list("node_id", "state", "created_at"))
    missing = [at for _, state, at in found if state != ReplicaState.VERIFIED]
    return {
        "digest": digest,
        "copies": {node: state for node, state, _ in found},
        "wanted": len(found),
        "verified": len(found) - len(missing),
        "oldest": (timezone.now() - min(missing)).total_seconds() if missing else None,
    }


def used(name: str) -> int:
    """Bytes of the copies that the node has or is to have; read from an index alone."""
    states = [*BEHIND, ReplicaState.VERIFIED]
    found = Replica.objects.filter(node=name, state__in=states).order_by().aggregate(total=Sum("size"))
    return int(found["total"] or 0)


def _add(client: Any, taken: dict[str, list[int]]) -> bool:
    key = KEY.format(hour=int(time.time() // HOUR))
    pipe = client.pipeline(transaction=False)
    for name, (downloads, size) in taken.items():
        pipe.hincrby(key, f"{name}:n", downloads)
        pipe.hincrby(key, f"{name}:b", size)
    pipe.expire(key, KEPT)
    pipe.execute()
    return True


def _all(client: Any, keys: list[str]) -> list[dict[bytes, bytes]]:
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.hgetall(key)
    found: list[dict[bytes, bytes]] = pipe.execute()
    return found
