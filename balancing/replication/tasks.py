"""Celery tasks of replication; `balancing.replication.schedule` says when beat sends them.

Each is idempotent and may run twice or at the same time: every step is a conditional update. A worker that is killed
loses its message to the next worker and its lease to the reaper.
"""

import logging
import random
import time
from typing import Any

from celery import shared_task
from django.utils import timezone

from balancing.backends import NodeError
from balancing.models import Node, ReplicaState
from balancing.replication import comparing, queries, reaping, schedule, scrubbing, sending, transfer, walking
from balancing.replication.schedule import HOUR, SCHEDULE

__all__ = ["SCHEDULE", "compare", "copy", "delete", "plan", "reap", "scrub"]

OPTIONS: dict[str, Any] = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True}
TURN = 5.0  # seconds in which a task that is done with its file goes on with others of the same node
SLICE_SECONDS, SLICE_BYTES = 600.0, 50_000_000_000  # of one scrub of one node

log = logging.getLogger(__name__)


@shared_task(name=schedule.COPY, time_limit=6 * HOUR, **OPTIONS)
def copy(digest: str, node: str) -> None:
    """Bring one file to one node, and then, for a short turn, others that wait for it."""
    if reaping.is_away(node):
        return  # the reaper sends another when it is back
    end, outcome = time.monotonic() + TURN, transfer.copy(digest, node)
    # Tasks that found the node at its limit are gone from the queue; whoever has a place goes on with their files.
    if outcome == "idle":  # another was quicker with this one
        outcome = transfer.copy_any(node)
    while outcome == "verified" and time.monotonic() < end:
        outcome = transfer.copy_any(node)


@shared_task(name=schedule.DELETE, time_limit=600, **OPTIONS)
def delete(digest: str, node: str) -> None:
    """Remove one copy, and then, for a short turn, others that must go from the node."""
    if reaping.is_away(node):
        return
    end, outcome = time.monotonic() + TURN, transfer.delete(digest, node)
    while outcome in {"deleted", "idle"} and time.monotonic() < end:
        following = queries.next_buried(node)
        if following is None:
            return
        outcome = transfer.delete(following, node)


@shared_task(name=schedule.CHECK, time_limit=HOUR, **OPTIONS)
def check(digest: str, node: str) -> None:
    """Have one copy read again that somebody has a doubt about; a damaged one is offered no more, and made anew."""
    try:
        whole = scrubbing.check(digest, node)
    except NodeError as error:
        log.warning("The copy of %s on %s was not read again: %s", digest, node, error)
        return
    if not whole:
        log.warning("The copy of %s on %s was damaged.", digest, node)
        sending.dispatch([(digest, node, ReplicaState.CORRUPT.value)])


@shared_task(name=schedule.REAP, time_limit=600, **OPTIONS)
def reap() -> None:
    """Free what killed transfers held, and send what is due."""
    reaping.reap()


@shared_task(name=schedule.COMPARE, time_limit=6 * HOUR, **OPTIONS)
def compare(node: str | None = None) -> None:
    """Compare a node with the table; without one, all nodes, each in a task of its own."""
    if node is None:
        _each_node(schedule.COMPARE)
        return
    try:
        found = comparing.compare(node)
    except NodeError as error:
        log.warning("%s was not compared: %s", node, error)
        return
    if found.strangers or found.missing or found.damaged:
        log.warning("%s differed from the table: %s", node, found.as_dict())


@shared_task(name=schedule.SCRUB, time_limit=6 * HOUR, **OPTIONS)
def scrub(node: str | None = None, *, everything: bool = False) -> None:
    """Scrub the next slice of a node, or `everything` it holds; without one, a slice of each node."""
    if node is None:
        _each_node(schedule.SCRUB)
        return
    part: dict[str, Any] = {"seconds": SLICE_SECONDS, "size": SLICE_BYTES}
    try:
        found = scrubbing.scrub(node, **({"before": timezone.now()} if everything else part))
    except NodeError as error:
        log.warning("%s was not scrubbed to the end: %s", node, error)
        return
    if found.damaged:
        log.warning("%s had damaged copies: %s", node, found.as_dict())


@shared_task(name=schedule.PLAN, time_limit=600, **OPTIONS)
def plan() -> None:
    """Go on with the walk that makes the copies be where they belong."""
    walking.plan()


def _each_node(task: str) -> None:
    names = [name for name in Node.objects.values_list("pk", flat=True) if not reaping.is_away(name)]
    random.shuffle(names)  # where one is slow, others have their turn before it some day
    for name in names:
        sending.send(task, name, expires=HOUR)
