"""Bans: begun by limits, seen by all processes at once, announced once, listed and lifted by people.

The store holds the ban that requests meet; a row tells people, and outlives a store that lost its memory.
"""

import logging

from django.db import DatabaseError
from django.utils import timezone

from throttling import notices, services, store
from throttling.lines import ban_key
from throttling.models import Ban
from throttling.rates import SECOND
from throttling.subjects import Caller

log = logging.getLogger("throttling")


def begin(subject: str, length: int, reason: str) -> bool:
    """Ban for `length` us; True for the one process of all that began it and therefore told people."""
    if not store.get().ban(ban_key(subject), length):
        return False
    try:
        services.record_ban(subject, reason, length / SECOND)
    except DatabaseError:
        log.exception("the ban of %s holds, but has no row", subject)
    notices.announce(subject, reason, length / SECOND)
    return True


def subject_to_ban(caller: Caller, charged: str) -> str:
    """Whom a breach bans: never an address when the caller is known, since others may sit behind it."""
    return caller.key if caller.known and charged.startswith("addr:") else charged


def running(rows: list[Ban]) -> list[tuple[Ban, float]]:
    """The bans among these rows that still hold, with the seconds left as the store says (it may have extended)."""
    held = store.get()
    found = []
    for row in rows:
        left = held.banned_for(ban_key(row.subject)) / SECOND
        if row.lifted_at is None and (left > 0 or row.in_force):
            found.append((row, left))
    return found


def seconds_left(row: Ban) -> float:
    """What the row alone says."""
    return max(0.0, (row.until - timezone.now()).total_seconds())
