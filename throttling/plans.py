"""Rows compiled into the snapshot that decisions use, and kept at most a second old in every process.

The number in the database is the truth. The store holds the last published version, so that a process asks the
database only when something changed, when the store does not know, or half a minute has passed.
"""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import datetime

from django.db import DatabaseError, transaction
from django.utils import timezone

from throttling import conf, stats, store
from throttling.models import Assignment, Ban, Exemption, Plan, Revision
from throttling.rates import Limit
from throttling.snapshot import Assigned, Exempt, Snapshot

log = logging.getLogger("throttling")
ASK_DATABASE = 30.0  # seconds
PATIENCE = 0.25  # seconds that a request waits for another one that reads the plans

_lock = threading.Lock()
_snapshot: Snapshot | None = None
# On the monotonic clock, when last: the picture was seen to be that of the published version; it was that of the
# database; somebody looked; somebody who asked `is_fresh` was sent to look.
_checked = _confirmed = _looked = _sent = 0.0


def current() -> Snapshot:
    """The plans in force. A request that finds them old looks once; requests beside it go on with what there is.

    Where nobody has looked for long, because the process was idle, they wait for the one that looks, but not for ever.
    """
    now, seconds = time.monotonic(), conf.get().plan_seconds
    held = _snapshot
    if held is not None and now - _checked < seconds:
        return held
    if held is None:
        with _lock:
            return _snapshot or _look(now)
    if not _lock.acquire(timeout=PATIENCE if now - _checked > 2 * seconds else 0):
        return held
    try:
        looked = _snapshot is not None and time.monotonic() - _checked < seconds  # by the one that was waited for
        return _snapshot if looked and _snapshot else _look(time.monotonic())
    finally:
        _lock.release()


def confirm() -> None:
    """Where it is time to look, see by one round trip whether the plans are still in force, for who must not wait long.

    Whatever takes more than that is left to `current` and `look_if_due`.
    """
    now, held = time.monotonic(), _snapshot
    if held is None or now - _checked < conf.get().plan_seconds:
        return
    if not _lock.acquire(blocking=False):
        return
    try:
        _confirm(held, now)
    finally:
        _lock.release()


def _confirm(held: Snapshot, now: float) -> None:
    global _checked  # noqa: PLW0603 - the one picture of this process
    if store.get().read_version() == held.version and held is _snapshot:
        _checked = now


def look_if_due() -> None:
    """For who may wait: do what `confirm` leaves undone while it keeps `current` from looking."""
    now = time.monotonic()
    if now - _looked < conf.get().plan_seconds or not _is_more_to_do(now) or not _lock.acquire(blocking=False):
        return
    try:
        _look(now)
    finally:
        _lock.release()


def is_fresh() -> bool:
    """True while nobody needs to look. When the database was not asked for long, one who asks is sent, no more."""
    global _sent  # noqa: PLW0603 - one moment per process
    now, seconds = time.monotonic(), conf.get().plan_seconds
    if _snapshot is None or now - _checked >= seconds:
        return False
    if now - _sent >= seconds and _is_more_to_do(now):
        _sent = now
        return False
    return True


def _is_more_to_do(now: float) -> bool:
    """Whether a look is due that `confirm` cannot do."""
    return _is_overdue(now) or stats.are_due()


def _is_overdue(now: float) -> bool:
    return now - _confirmed > ASK_DATABASE


def reset() -> None:
    """Forget the snapshot: the next request compiles anew."""
    global _snapshot  # noqa: PLW0603 - the one picture of this process
    _snapshot = None


def publish() -> None:
    """Tell every process that the rows have changed; called when the change is committed."""
    reset()
    try:
        store.get().publish_version(_number())
    except DatabaseError:
        log.warning("The version of the plans could not be published; others see it within %d s.", ASK_DATABASE)


def _look(now: float) -> Snapshot:
    global _snapshot, _checked, _confirmed, _looked  # noqa: PLW0603 - the one picture of this process
    held = _snapshot or Snapshot()
    try:
        published = store.get().read_version()
        if _snapshot is None or published is None or _is_overdue(now) or published != held.version:
            number = _number()
            if _snapshot is None or number != held.version:
                held = compile_rows(number)
            if published != number:
                store.get().publish_version(number)
            _confirmed = now
    except DatabaseError:
        # Without the database the last picture stands; without any, nothing is limited.
        log.exception("The plans cannot be read; going on with the last ones.")
    _snapshot, _checked, _looked = held, now, now
    stats.flush(patient=True)
    return held


def _number() -> str:
    # A savepoint, where a transaction runs: a fault here must not spoil the request's own work.
    with transaction.atomic():
        return str(Revision.objects.filter(pk=1).values_list("number", flat=True).first() or 0)


def compile_rows(version: str) -> Snapshot:
    """Read every row in one transaction and make the picture. A row that cannot be used is logged and left out."""
    with transaction.atomic():
        rows = list(Plan.objects.prefetch_related("limits"))
        assignments = list(Assignment.objects.all())
        exemptions = list(Exemption.objects.all())
        bans = list(Ban.objects.filter(lifted_at__isnull=True, until__gt=timezone.now()))
    limits = {plan.pk: tuple(_usable(plan)) for plan in rows}
    return Snapshot(
        version,
        tuple(Assigned(row.subject, row.order, limits[row.plan_id]) for row in assignments),
        tuple(Exempt(row.subject, frozenset(row.scopes.split()), _end(row.expires_at)) for row in exemptions),
        {row.subject: row.until.timestamp() for row in sorted(bans, key=lambda row: row.until)},
        {plan.name: limits[plan.pk] for plan in rows},
    )


def _usable(plan: Plan) -> Iterator[Limit]:
    for row in plan.limits.all():
        try:
            yield row.value()
        except ValueError:
            log.exception("The limit %s cannot be used and is left out.", row)


def _end(moment: datetime | None) -> float:
    return moment.timestamp() if moment else float("inf")
