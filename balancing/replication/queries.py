"""What is asked of the copies' rows. Among a million rows that are done, each question finds the few by an index."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from secrets import token_hex
from typing import Any

from django.db.models import BooleanField, Count, Q, Sum
from django.db.models.expressions import RawSQL
from django.utils import timezone

from balancing import conf
from balancing.models import Replica, ReplicaState

Work = tuple[str, str, str]
"""Digest, node, state: what a task is sent for."""
LARGE = 2**31 - 1
WORKING = (ReplicaState.PENDING, ReplicaState.CORRUPT, ReplicaState.COPYING)


def in_state(*states: ReplicaState) -> RawSQL:
    """The condition with its values written out: with parameters, SQLite does not recognise a partial index."""
    names = ", ".join(f"'{state.value}'" for state in states)
    return RawSQL(f"state IN ({names})", (), output_field=BooleanField())  # noqa: S611 - only members of the enumeration


DUE = in_state(ReplicaState.PENDING, ReplicaState.CORRUPT, ReplicaState.DELETING)  # as the index balancing_replica_due
COPYING = RawSQL("state = 'copying'", (), output_field=BooleanField())
VERIFIED = RawSQL("state = 'verified'", (), output_field=BooleanField())


def due(limit: int, without: Collection[str] = ()) -> list[Work]:
    """(digest, node, state) that a task should be sent for now, the oldest first; no nodes of `without`."""
    rows = Replica.objects.filter(DUE, due_at__lte=timezone.now())
    rows = rows.exclude(node_id__in=without) if without else rows
    return list(rows.order_by("due_at").values_list("digest", "node_id", "state")[:limit])


def due_of(digests: Sequence[str]) -> list[Work]:
    """As `due`, for these files only."""
    rows = Replica.objects.filter(DUE, digest__in=list(digests), due_at__lte=timezone.now())
    return list(rows.order_by("digest").values_list("digest", "node_id", "state"))


def backlog(most: int, without: Collection[str] = ()) -> int:
    """How many rows wait for anything, but for those on the nodes of `without`; counts no further than `most`."""
    rows = Replica.objects.filter(DUE)
    rows = rows.exclude(node_id__in=without) if without else rows
    return rows.order_by("due_at")[:most].count()


def next_waiting(node: str) -> str | None:
    """A file that waits for its transfer to the node; None where none does."""
    return _next(node, ReplicaState.PENDING) or _next(node, ReplicaState.CORRUPT)


def next_buried(node: str) -> str | None:
    """A copy on the node that must go now; None where there is none."""
    return _next(node, ReplicaState.DELETING)


def _next(node: str, state: ReplicaState) -> str | None:
    """Any, so that several who ask seldom get the same."""
    most = LARGE if state is ReplicaState.DELETING else conf.get().attempts
    conditions = {"node_id": node, "state": state, "attempts__lt": most}
    for start in (token_hex(8), ""):
        rows = Replica.objects.filter(is_free(timezone.now()), digest__gte=start, **conditions).order_by("digest")
        for digest in rows.values_list("digest", flat=True)[:1]:
            return digest
    return None


def copying(node: str) -> int:
    """Transfers to the node under way."""
    return Replica.objects.filter(COPYING, node_id=node, lease_until__gt=timezone.now()).count()


def counts() -> dict[str, dict[str, int]]:
    """How many rows each node has in each state."""
    found: dict[str, dict[str, int]] = {}
    for node, state, number in Replica.objects.order_by().values_list("node_id", "state").annotate(number=Count("pk")):
        found.setdefault(node, {})[state] = number
    return found


def parts(items: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    """Slices that fit into one statement of every database."""
    return (items[start : start + size] for start in range(0, len(items), size))


def is_free(now: datetime) -> Q:
    """The condition that nobody else holds a row and that it need not wait."""
    return Q(lease_until__isnull=True) | Q(lease_until__lte=now)


def waits(digest: str, node: str) -> bool:
    """Whether the file waits for its transfer to the node, and nobody is at it."""
    conditions = {"digest": digest, "node_id": node, "state__in": WORKING, "attempts__lt": conf.get().attempts}
    return Replica.objects.filter(is_free(timezone.now()), **conditions).exists()


def verified(node: str) -> int:
    """Copies on the node that are offered."""
    return Replica.objects.filter(VERIFIED, node_id=node).count()


def unfinished(nodes: Collection[str]) -> int:
    """Rows of these nodes that wait or are under way."""
    states = (ReplicaState.PENDING, ReplicaState.COPYING, ReplicaState.CORRUPT, ReplicaState.DELETING)
    return Replica.objects.filter(node_id__in=nodes, state__in=states).count()


def failed(nodes: Collection[str]) -> int:
    """Copies on these nodes that were given up."""
    return Replica.objects.filter(node_id__in=nodes, state=ReplicaState.FAILED).count()


def bytes_sent(nodes: Collection[str]) -> int:
    """Bytes of the transfers under way to these nodes, as last noted."""
    rows = Replica.objects.filter(COPYING, node_id__in=nodes)
    return int(rows.aggregate(sum=Sum("sent"))["sum"] or 0)


def under_way(most: int = 20) -> list[dict[str, Any]]:
    """Transfers with their progress in bytes."""
    rows = Replica.objects.filter(COPYING).order_by("lease_until").values("digest", "node_id", "sent", "size")[:most]
    return [{"digest": row["digest"], "node": row["node_id"], "sent": row["sent"], "size": row["size"]} for row in rows]


def last_error(node: str) -> str:
    """Why a copy on the node was given up or waits; empty where none is."""
    for state in (ReplicaState.FAILED, ReplicaState.PENDING, ReplicaState.DELETING):
        rows = Replica.objects.filter(node_id=node, state=state)
        found = rows.exclude(last_error="").order_by("digest").values_list("last_error", flat=True).first()
        if found:
            return found
    return ""
