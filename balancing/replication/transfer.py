"""One copy: the lease, the bytes, the check, and what becomes of a try that failed."""

import logging
import random
import time
from contextlib import closing
from typing import BinaryIO, cast

from django.db import DatabaseError

from balancing import conf, health, manifests, nodes, picker, snapshot, source
from balancing.backends import Backend, NodeError
from balancing.models import Node, ReplicaState
from balancing.replication import planning, queries, rows, taking
from balancing.replication.reading import RENEWAL, LeaseLost, Metered, SourceError
from balancing.replication.taking import Held

SHORTEST, LONGEST = 1.0, 600.0  # seconds between two tries
LONGEST_BURIAL = 60.0  # deletions are small, and must soon reach a node that returns
BUSY = 2.0  # seconds until a task is sent again for a row whose node had no place
BLAME = frozenset({"unreachable", "too_slow", "bad_answer"})  # what says that the node is ill

log = logging.getLogger(__name__)


def copy(digest: str, node: str) -> str:
    """Bring one file to one node, and say what came of it.

    `verified`; `failed` (tried again later) or `given_up`; `idle` where there is nothing to do or somebody is at it;
    `busy` where the node has as many transfers as it may have; `lost` where the copy was taken from us.
    """
    held = taking.take(digest, node)
    if isinstance(held, str):
        if held == "busy":
            rows.soon(digest, node, BUSY * random.uniform(1, 2))  # noqa: S311 - no secret
        return held
    return _carry_out(held)


def copy_any(node: str) -> str:
    """Bring a file to the node that waits for it, and say what came of it, as `copy`; `idle` where none waits."""
    held = taking.take_any(node)
    if held is not None:
        return _carry_out(held)
    following = queries.next_waiting(node)  # a copy that was damaged, or the node has no place
    return "idle" if following is None else copy(following, node)


def _carry_out(held: Held) -> str:
    node = held.node
    try:
        started = time.monotonic()
        sent = _bring(held, _backend(node))
    except LeaseLost:
        rows.release(held)
        return "lost"
    except (SourceError, NodeError) as error:
        return _failed(held, error)
    except Node.DoesNotExist:
        return "idle"
    except Exception as error:
        # A fault of ours. It counts as a try, so that it cannot go on for ever, and the worker's log has it.
        _failed(held, error)
        raise
    if not rows.verified(held):
        rows.release(held)
        return "lost"
    if sent:
        health.succeeded(node, time.monotonic() - started)
    picker.forget(held.digest)  # so that the new place is found
    return "verified"


def delete(digest: str, node: str) -> str:
    """Remove one copy that is buried. `deleted`, `failed` (tried again until it succeeds), `idle` or `lost`."""
    held = taking.take_tombstone(digest, node)
    if held is None:
        return "idle"
    try:
        picker.forget(digest)
        _backend(node).delete(digest)
    except Node.DoesNotExist:
        return "idle"
    except Exception as error:
        rows.put_off(held, ReplicaState.DELETING, str(error), pause(held.attempts, LONGEST_BURIAL))
        if isinstance(error, NodeError):
            return "failed"
        raise
    if rows.gone(held):
        return "deleted"
    rows.release(held)  # wanted again: now it may be copied
    return "lost"


def _backend(node: str) -> Backend:
    """By the picture, which is at most a second old and costs no query."""
    return nodes.backend_for(snapshot.current().member(node) or Node.objects.get(pk=node))


def pause(attempts: int, longest: float = LONGEST) -> float:
    """Seconds before the next try: doubled with each, half of it by lot, so that many rows do not come back at once."""
    return min(longest, SHORTEST * 2.0 ** min(attempts, 30)) * random.uniform(0.5, 1)  # noqa: S311 - no secret


def _bring(held: Held, backend: Backend) -> bool:
    """True where bytes were sent; an earlier try may have brought them and died before it could say so."""
    if held.doubtful and backend.has(held.digest) == held.size and _is_intact(held, backend):
        return False
    settings = conf.get()
    try:
        original = source.get().open(held.digest)
    except OSError as error:
        raise SourceError(f"The original cannot be opened: {error}") from error
    every = min(RENEWAL, settings.lease / 4)
    hasher = manifests.Hasher() if manifests.is_wanted(held.digest, held.size) else None
    heard = [hasher.feed] if hasher else []
    with closing(original):
        reader = Metered(original, lambda sent: _renew(held, sent), lambda: _rate(held, settings), every, *heard)
        try:
            backend.put(held.digest, held.size, cast("BinaryIO", reader))
        except Exception:
            if reader.fault is not None:
                raise reader.fault from None
            raise
    if hasher is not None:  # the node has found that these bytes have the digest
        manifests.keep(held.digest, hasher.hashes())
    return True


def _is_intact(held: Held, backend: Backend) -> bool:
    if not _renew(held, 0):
        raise LeaseLost
    try:
        return backend.scrub(held.digest)
    except NodeError as error:
        if error.code == "not_found":
            return False
        raise


def _rate(held: Held, settings: conf.Conf) -> float:
    """The share of the node's bandwidth that a transfer has."""
    return settings.bandwidth / max(1, queries.copying(held.node)) if settings.bandwidth else 0.0


def _renew(held: Held, sent: int) -> bool:
    try:
        return rows.renew(held, sent)
    except DatabaseError:
        log.warning("The lease of %s could not be renewed this time.", held.digest, exc_info=True)
        return True  # it lasts for several renewals


def _failed(held: Held, error: Exception) -> str:
    if isinstance(error, NodeError) and error.code in BLAME:
        health.failed(held.node, str(error))
    # A missing original may be a storage that is away; a node's refusal may be for good.
    again = error.retryable if isinstance(error, NodeError) else True
    if again and held.attempts < conf.get().attempts:
        rows.put_off(held, ReplicaState.COPYING, str(error), pause(held.attempts - 1))
        return "failed"
    log.warning("The copy of %s to %s is given up: %s", held.digest, held.node, error)
    if rows.give_up(held, str(error)):
        _look_elsewhere(held.digest)
    return "given_up"


def _look_elsewhere(digest: str) -> None:
    """Where the file wants fewer copies than there are nodes, another one takes this copy's place."""
    wanted = source.get().wanted([digest]).get(digest)
    if wanted is not None and wanted.copies != source.ALL:
        planning.settle([wanted], planning.sites())
