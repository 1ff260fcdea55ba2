"""Taking the lease of a row: one statement that finds the row, takes it and returns it (UPDATE ... RETURNING).

Written out in SQL, because it is asked for each copy and Django's ORM needs longer to build such a statement than the
database to answer it, and has no RETURNING.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from balancing import conf
from balancing.models import Node, Replica
from balancing.node.patience import LEAST_PACE
from balancing.replication import queries

LEAST_SHARE = 2 * LEAST_PACE  # bytes a second of one transfer
TABLE = Replica._meta.db_table  # noqa: SLF001 - Django documents _meta as public
TAKEN = "id, digest, size, attempts, verified_at, last_error"
FREE = "(lease_until IS NULL OR lease_until <= %s)"
WAITING = f"attempts < %s AND {FREE}"
PLACE = f"(SELECT COUNT(*) FROM {TABLE} c WHERE c.state = 'copying' AND c.node_id = %s AND c.lease_until > %s) < %s"  # noqa: S608 - constants
COPY = (
    f"UPDATE {TABLE} SET state = 'copying', lease = %s, lease_until = %s, attempts = attempts + 1, sent = 0 "  # noqa: S608 - constants
    f"WHERE {{which}} AND {WAITING} AND {PLACE} RETURNING {TAKEN}"
)
THIS = "digest = %s AND node_id = %s AND state IN ('pending', 'corrupt', 'copying')"
# Any, so that several who ask seldom want the same.
ANY = (
    f"id = (SELECT id FROM {TABLE} WHERE node_id = %s AND state = 'pending' AND {WAITING} AND digest >= %s "  # noqa: S608 - constants
    "ORDER BY digest LIMIT 1) AND state = 'pending'"
)
DELETION = (
    f"UPDATE {TABLE} SET lease = %s, lease_until = %s, attempts = attempts + 1 "  # noqa: S608 - constants
    f"WHERE digest = %s AND node_id = %s AND state = 'deleting' AND {FREE} RETURNING {TAKEN}"
)


@dataclass(frozen=True, slots=True)
class Held:
    """A row that this process holds the lease of."""

    pk: int
    digest: str
    node: str
    size: int
    lease: str
    attempts: int
    doubtful: bool
    """True where the node may have the bytes already."""


def take(digest: str, node: str) -> Held | str:
    """Take the row for a transfer; or why not: `idle` (nothing to do, or somebody does it) or `busy` (the node)."""
    held = _copy(node, timezone.now(), THIS, [digest, node])
    if held is None:
        return "busy" if queries.waits(digest, node) else "idle"
    return held


def take_any(node: str) -> Held | None:
    """Take a row that waits for its first transfer to the node; None where none does, or the node has no place."""
    now = timezone.now()
    for start in (token_hex(8), ""):
        held = _copy(node, now, ANY, [node, conf.get().attempts, _moment(now), start])
        if held is not None:
            return held
    return None


def take_tombstone(digest: str, node: str) -> Held | None:
    """Take the row for a deletion; None where there is nothing to delete, or somebody is at it."""
    now, name = timezone.now(), token_hex(16)
    return _taken(DELETION, [name, _moment(_end(now)), digest, node, _moment(now)], node, name)


def parallel(settings: conf.Conf) -> int:
    """How many transfers one node may have at once: each needs a pace at which nobody takes it for dead."""
    if not settings.bandwidth:
        return max(1, settings.transfers)
    return max(1, min(settings.transfers, settings.bandwidth // LEAST_SHARE))


def _copy(node: str, now: datetime, which: str, its: Sequence[Any]) -> Held | None:
    settings, moment, name = conf.get(), _moment(now), token_hex(16)
    values = [name, _moment(_end(now)), *its, settings.attempts, moment, node, moment, parallel(settings)]
    with _one_at_a_time(node):
        return _taken(COPY.format(which=which), values, node, name)


def _taken(statement: str, values: Sequence[Any], node: str, name: str) -> Held | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    for pk, digest, size, attempts, verified_at, error in rows:
        return Held(pk, digest, node, size, name, attempts, attempts > 1 or verified_at is not None or bool(error))
    return None


@contextmanager
def _one_at_a_time(node: str) -> Iterator[None]:
    """Two counts of a node's transfers at once would both find its last place. SQLite has one writer anyway."""
    if not connection.features.has_select_for_update:
        yield
        return
    with transaction.atomic():
        list(Node.objects.select_for_update().filter(pk=node).values_list("pk"))
        yield


def _end(now: datetime) -> datetime:
    return now + timedelta(seconds=conf.get().lease)


def _moment(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)
