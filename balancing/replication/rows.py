"""Every change of a copy's row, each a conditional update whose row count is checked.

Two things say who may do what with a row. `state` says what is wanted; `lease_until` says that nobody else may touch
the copy before: while a transfer or a deletion runs (`lease` is its name), or while a failed one waits for its next try
(`lease` is empty). A new wish changes the state at once and leaves the lease, so a deletion under way can never remove
what was copied after it. `due_at` is when a task is to be sent for the row.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, DateTimeField, F, QuerySet, Value, When
from django.utils import timezone

from balancing import conf
from balancing.models import Replica, ReplicaState
from balancing.replication.queries import COPYING, DUE, WORKING, parts
from balancing.replication.taking import Held

LONGEST_ERROR = 300
LIVE = (*WORKING, ReplicaState.VERIFIED, ReplicaState.FAILED)

FREE: dict[str, Any] = {"lease": "", "lease_until": None}


def renew(held: Held, sent: int) -> bool:
    """Keep the lease of a transfer and note its progress in bytes; False where it is no longer ours or not wanted."""
    until = timezone.now() + timedelta(seconds=conf.get().lease)
    return bool(_ours(held, ReplicaState.COPYING).update(lease_until=until, sent=sent))


def verified(held: Held) -> bool:
    """The copy is whole and checked on the node; False where the lease was lost meanwhile."""
    now = timezone.now()
    return bool(
        _ours(held, ReplicaState.COPYING).update(
            **FREE, state=ReplicaState.VERIFIED, verified_at=now, scrubbed_at=now, sent=held.size, last_error=""
        )
    )


def gone(held: Held) -> bool:
    """The copy is no longer on the node; False where it is wanted again, or the lease was lost."""
    return bool(_ours(held, ReplicaState.DELETING).update(**FREE, state=ReplicaState.DELETED, sent=0, last_error=""))


def put_off(held: Held, state: ReplicaState, error: str, seconds: float) -> bool:
    """A try of `state` failed and is made again in `seconds`."""
    due = timezone.now() + timedelta(seconds=seconds)
    back = ReplicaState.PENDING if state is ReplicaState.COPYING else state
    rows = _ours(held, state)
    return bool(rows.update(state=back, lease="", lease_until=due, due_at=due, last_error=error[:LONGEST_ERROR]))


def give_up(held: Held, error: str) -> bool:
    """No more tries until somebody asks anew."""
    now = timezone.now()
    rows = _ours(held, ReplicaState.COPYING)
    return bool(rows.update(**FREE, state=ReplicaState.FAILED, due_at=now, last_error=error[:LONGEST_ERROR]))


def release(held: Held) -> None:
    """Whatever was decided about the row while we held it may now be done."""
    Replica.objects.filter(pk=held.pk, lease=held.lease).update(**FREE, due_at=timezone.now())


def want(node: str, sizes: dict[str, int]) -> None:
    """Copies of these files (bytes by digest) belong on the node; those that are there or under way stay so."""
    now = timezone.now()
    # First the rows that exist: between the other order's two steps a tombstone could be cleared away.
    old = Replica.objects.filter(node_id=node, digest__in=list(sizes))
    back = (ReplicaState.DELETING, ReplicaState.DELETED, ReplicaState.FAILED)
    wish = {"state": ReplicaState.PENDING, "attempts": 0, "due_at": now, "sent": 0, "last_error": ""}
    old.filter(state__in=back).update(**wish, lease_until=_unless_held(None))
    new = [Replica(digest=digest, node_id=node, size=size, due_at=now) for digest, size in sizes.items()]
    Replica.objects.bulk_create(new, ignore_conflicts=True)


def noticed(node: str, digests: Sequence[str]) -> None:
    """The node was seen to have these files, whose copies were not begun: they are checked before bytes are sent."""
    rows = Replica.objects.filter(node_id=node, digest__in=digests, state=ReplicaState.PENDING, attempts=0)
    rows.update(last_error="A file of this name is on the node already.")


def bury(rows: QuerySet[Replica], seconds: float = 0.0) -> int:
    """These copies must go, from `seconds` on. Their transfers notice it when they next renew their lease."""
    due = timezone.now() + timedelta(seconds=seconds)
    wish = {"state": ReplicaState.DELETING, "attempts": 0, "due_at": due, "last_error": ""}
    return rows.filter(state__in=LIVE).update(**wish, lease_until=_unless_held(due if seconds else None))


def bury_strangers(node: str, sizes: dict[str, int]) -> None:
    """Tombstones for files on the node that no row, or a deleted one, tells of."""
    now = timezone.now()
    rows = Replica.objects.filter(node_id=node, digest__in=list(sizes), state=ReplicaState.DELETED)
    rows.update(state=ReplicaState.DELETING, attempts=0, due_at=now)
    new = [
        Replica(digest=digest, node_id=node, size=size, state=ReplicaState.DELETING, due_at=now)
        for digest, size in sizes.items()
    ]
    Replica.objects.bulk_create(new, ignore_conflicts=True)


def damaged(digest: str, node: str, reason: str, *, seen: datetime | None = None, lost: bool = False) -> bool:
    """A verified copy is wrong, or `lost`: it is offered no more and copied anew. `seen` is its `verified_at` then."""
    rows = Replica.objects.filter(digest=digest, node_id=node, state=ReplicaState.VERIFIED)
    if seen is not None:  # a copy that was made anew since is another one
        rows = rows.filter(verified_at=seen)
    state = ReplicaState.PENDING if lost else ReplicaState.CORRUPT
    error = reason[:LONGEST_ERROR]
    return bool(rows.update(state=state, attempts=0, due_at=timezone.now(), sent=0, last_error=error))


def scrubbed(pk: int) -> None:
    """The node has read the copy and found it whole."""
    Replica.objects.filter(pk=pk, state=ReplicaState.VERIFIED).update(scrubbed_at=timezone.now())


def expire() -> int:
    """Free what killed transfers held; those whose attempts are used up are given up. Returns how many."""
    now, most = timezone.now(), conf.get().attempts
    ended = Replica.objects.filter(COPYING, lease_until__lte=now)
    spent = ended.filter(attempts__gte=most)
    error = "Its last transfer ended without a word."
    count = spent.update(**FREE, state=ReplicaState.FAILED, due_at=now, last_error=error)
    count += ended.update(**FREE, state=ReplicaState.PENDING, due_at=now, last_error=error)
    waiting = Replica.objects.filter(DUE, due_at__lte=now, attempts__gte=most)
    waiting.filter(state__in=WORKING).update(**FREE, state=ReplicaState.FAILED)
    return count


def sent(pairs: Iterable[tuple[str, str]]) -> None:
    """Tasks were sent for these (digest, node); if nothing comes of it within a lease, they are sent again."""
    now = timezone.now()
    later = now + timedelta(seconds=conf.get().lease)
    by_node: dict[str, list[str]] = {}
    for digest, node in pairs:
        by_node.setdefault(node, []).append(digest)
    for node, digests in by_node.items():
        for part in parts(digests):
            rows = Replica.objects.filter(DUE, node_id=node, digest__in=part, due_at__lte=now)
            rows.update(due_at=later)


def soon(digest: str, node: str, seconds: float) -> None:
    """Send a task for this waiting row in `seconds`."""
    rows = Replica.objects.filter(DUE, digest=digest, node_id=node)
    rows.update(due_at=timezone.now() + timedelta(seconds=seconds))


def hurry(node: str) -> int:
    """Let nothing on the node wait for its next try any longer, and try again what was given up."""
    now = timezone.now()
    wish = {"lease_until": None, "attempts": 0, "due_at": now}
    rows = Replica.objects.filter(node_id=node, lease="")
    count = rows.filter(state__in=(ReplicaState.PENDING, ReplicaState.CORRUPT)).update(**wish)
    # One that was not tried yet waits for clients that may still fetch the file.
    count += rows.filter(state=ReplicaState.DELETING, attempts__gt=0).update(**wish)
    return count + rows.filter(state=ReplicaState.FAILED).update(**wish, state=ReplicaState.PENDING)


def clear_tombstones(node: str, batch: int = 1000) -> int:
    """Forget what is deleted: the node was just compared, and a file that no row tells of is deleted all the same."""
    done = 0
    rows = Replica.objects.filter(node_id=node, state=ReplicaState.DELETED)
    while pks := list(rows.order_by("digest").values_list("pk", flat=True)[:batch]):
        done += rows.filter(pk__in=pks).delete()[0]
    return done


def _ours(held: Held, state: ReplicaState) -> QuerySet[Replica]:
    return Replica.objects.filter(pk=held.pk, lease=held.lease, state=state)


def _unless_held(until: datetime | None) -> Case:
    """A new wish need not wait for the next try of the old one, but for the end of what is under way."""
    return Case(When(lease="", then=Value(until)), default=F("lease_until"), output_field=DateTimeField(null=True))
