"""Nodes read their bytes again: the copy that was not read for the longest time first."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from balancing import nodes, picker
from balancing.backends import Backend, NodeError
from balancing.models import Node, Replica
from balancing.replication import queries, rows

BATCH = 100
EVERY = timedelta(days=7)  # how often each copy is read


@dataclass(slots=True)
class Read:
    """What a run read: copies and bytes, and how many were damaged or missing."""

    files: int = 0
    size: int = 0
    damaged: int = 0

    def as_dict(self) -> dict[str, int]:
        """For logs and JSON."""
        return asdict(self)


def scrub(
    node: str,
    *,
    before: datetime | None = None,
    seconds: float | None = None,
    size: int | None = None,
    progress: Callable[[], object] = lambda: None,
) -> Read:
    """Scrub what was last read before `before`, for at most `seconds` and `size` bytes. Raises NodeError."""
    before = timezone.now() - EVERY if before is None else before
    backend, found = nodes.backend_for(Node.objects.get(pk=node)), Read()
    end = None if seconds is None else time.monotonic() + seconds
    while batch := oldest(node, before):
        for row in batch:
            if (end is not None and time.monotonic() > end) or (size is not None and found.size >= size):
                return found
            found.files += 1
            found.size += row.size
            found.damaged += not _is_whole(backend, row)
            progress()
    return found


def check(digest: str, node: str) -> bool:
    """Have one copy read again; False where it was damaged and is offered no more. Raises NodeError."""
    row = Replica.objects.filter(queries.VERIFIED, digest=digest, node_id=node).first()
    return row is None or _is_whole(nodes.backend_for(Node.objects.get(pk=node)), row)


def oldest(node: str, before: datetime) -> list[Replica]:
    """The next copies to read."""
    found = Replica.objects.filter(queries.VERIFIED, node_id=node, scrubbed_at__lt=before).order_by("scrubbed_at")
    return list(found.only("pk", "digest", "node_id", "size", "verified_at")[:BATCH])


def _is_whole(backend: Backend, row: Replica) -> bool:
    reason = _fault(backend, row.digest)
    if reason is None:
        rows.scrubbed(row.pk)
        return True
    if not rows.damaged(row.digest, row.node_id, reason, seen=row.verified_at):
        return True  # it was made anew meanwhile
    picker.forget(row.digest)
    return False


def _fault(backend: Backend, digest: str) -> str | None:
    try:
        return None if backend.scrub(digest) else "Its bytes had changed."
    except NodeError as error:
        if error.code == "not_found":
            return "The node no longer had it."
        raise
