"""The walk over all files that makes the copies be where they belong: after a node was lost or joined, and every day.

It is done in short runs. The cursor stands in the table, so that the next run, on whichever host, goes on there; it is
moved by a conditional update, so that of two runs at once one stops.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from itertools import islice

from django.utils import timezone

from balancing import source
from balancing.models import Replica, Walk
from balancing.placement import Site
from balancing.replication import planning, queries, rows
from balancing.replication.reaping import away
from balancing.source import Source, Wanted

NAME = "plan"
BATCH = 500  # files of one step
AGAIN = timedelta(hours=6)  # after which a walk is begun though the nodes are the same
BACKLOG = 20_000  # rows that wait for tasks; the walk rests until they are fewer


@dataclass(frozen=True, slots=True)
class Walked:
    """What a run did: files looked at, and whether the walk is at its end."""

    files: int
    finished: bool


def plan(seconds: float = 40.0) -> Walked:
    """Go on with the walk for about `seconds`; begins one where there is reason to."""
    places, end, files = planning.sites(), time.monotonic() + seconds, 0
    walk = _begun(signature(places))
    asked = source.get()
    while walk.finished_at is None and time.monotonic() < end:
        if queries.backlog(BACKLOG, away()) >= BACKLOG:
            break
        batch = list(islice(asked.every(walk.after), BATCH))
        _step(batch, walk.after, asked, places)
        files += len(batch)
        if not _move(walk, batch):
            break
        places = planning.sites()
    return Walked(files, walk.finished_at is not None)


def restart() -> None:
    """Let the next run begin from the first file."""
    Walk.objects.update_or_create(name=NAME, defaults={"after": "", "signature": "", "finished_at": None})


def signature(places: list[Site]) -> str:
    """What the placement of copies depends on, but for how full the nodes are."""
    text = repr(sorted((one.id, one.weight, one.zone, one.capacity is None) for one in places))
    return sha256(text.encode()).hexdigest()


def _begun(mark: str) -> Walk:
    walk, _ = Walk.objects.get_or_create(name=NAME)
    old = walk.finished_at is not None and walk.finished_at < timezone.now() - AGAIN
    if walk.signature != mark or old:
        same = Walk.objects.filter(pk=walk.pk, signature=walk.signature, finished_at=walk.finished_at)
        same.update(after="", signature=mark, finished_at=None)
        walk.refresh_from_db()
    return walk


def _step(batch: Sequence[Wanted], after: str, asked: Source, places: list[Site]) -> None:
    planning.settle(batch, places)
    found = {one.digest for one in batch}
    known = Replica.objects.filter(state__in=rows.LIVE).order_by("digest").values_list("digest", flat=True)
    if len(batch) == BATCH:
        known = known.filter(digest__lte=batch[-1].digest)
    while digests := list(known.filter(digest__gt=after)[: 4 * BATCH]):
        planning.bury_orphans(set(digests) - found, asked)
        after = digests[-1]


def _move(walk: Walk, batch: Sequence[Wanted]) -> bool:
    """Move the cursor behind the batch; False where somebody else moved it, or wants another walk."""
    same = Walk.objects.filter(pk=walk.pk, after=walk.after, signature=walk.signature, finished_at=None)
    if len(batch) < BATCH:
        walk.finished_at = timezone.now()
    else:
        walk.after = batch[-1].digest
    return bool(same.update(after=walk.after, finished_at=walk.finished_at))
