"""What a project calls when its files change, and what people and readers ask for.

Nothing here fails an uploader: where the broker is away the rows stand, and `balancing.reap` sends their tasks later.
"""

import logging
from collections.abc import Iterable
from functools import partial

from django.db import transaction
from django.dispatch import receiver

from balancing import picker, shared, source
from balancing.models import Replica, ReplicaState
from balancing.replication import planning, queries, reaping, rows, schedule, sending, walking
from balancing.replication.sending import send
from balancing.signals import repeated

__all__ = ["corrupt", "doubt", "send", "sync", "unwanted", "verify", "wanted"]

DOUBT = 60  # seconds

log = logging.getLogger(__name__)


def wanted(digests: Iterable[str]) -> None:
    """Have the copies made that the source wants of these files, and those taken away that it does not, on commit.

    Repeating it changes nothing, except that copies which were given up are tried again. A process that dies before
    it comes to this leaves the files to `balancing.plan`.
    """
    unique = list(dict.fromkeys(digests))
    if unique:
        transaction.on_commit(partial(_settle, unique), robust=True)


def unwanted(digests: Iterable[str]) -> None:
    """Tombstones for all copies of these files, in this transaction: they go from nodes that are away now too."""
    unique = list(dict.fromkeys(digests))
    for part in queries.parts(unique):
        rows.bury(Replica.objects.filter(digest__in=part))
    if unique:
        transaction.on_commit(partial(_after_burial, unique), robust=True)


def corrupt(digest: str, node: str, reason: str) -> None:
    """A reader found other bytes than the digest's: the copy is offered no more, from now on, and made anew."""
    if rows.damaged(digest, node, reason):
        log.warning("The copy of %s on %s is damaged: %s", digest, node, reason)
        picker.forget(digest)
        transaction.on_commit(partial(sending.dispatch, [(digest, node, ReplicaState.CORRUPT.value)]), robust=True)


@receiver(repeated)
def doubt(node: str, digest: str, **_: object) -> None:
    """A client asks again for what the node should have given it: have that copy read again, once in a minute.

    Clients that ask for everything many times cost a read of their files each minute, and nothing more.
    """
    if shared.ask(lambda redis: redis.set(f"balancing:doubt:{node}:{digest}", 1, nx=True, ex=DOUBT), otherwise=None):
        send(schedule.CHECK, digest, node, expires=DOUBT)


def sync(node: str | None = None) -> bool:
    """Plan anew, and compare a node or all with the table, now; False where the broker is away."""
    walking.restart()
    if node is not None:
        rows.hurry(node)
    return send(schedule.PLAN) and send(schedule.COMPARE, node)


def verify(node: str) -> bool:
    """Have everything that the node holds read again, now; False where the broker is away."""
    return send(schedule.SCRUB, node, everything=True)


def _settle(digests: list[str]) -> None:
    live = planning.bury_orphans(digests, source.get())
    planning.settle(live, planning.sites(), anew=True)
    _dispatch(digests)


def _after_burial(digests: list[str]) -> None:
    for digest in digests:
        picker.forget(digest)
    _dispatch(digests)


def _dispatch(digests: list[str]) -> None:
    chosen = reaping.Chosen()
    for part in queries.parts(digests):
        chosen.add(queries.due_of(part))
    sending.dispatch(chosen.work)
