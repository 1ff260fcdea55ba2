"""The only way plans, assignments, exemptions and bans change: checked, recorded, and told to every process."""

from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from throttling import plans, store
from throttling.lines import ban_key
from throttling.models import Ban, Change, Plan, Revision, as_data
from throttling.signals import changed

Row = models.Model


def save(row: Row, *, actor: str, check: bool = True) -> bool:
    """Validate and store a new or changed row; False where nothing differs. Raises ValidationError."""
    if check:
        row.full_clean()
    with transaction.atomic():
        old = type(row)._base_manager.filter(pk=row.pk).first() if row.pk else None  # noqa: SLF001 - a documented manager
        before = as_data(old) if old else {}
        after = as_data(row)
        if old and before == after:
            return False
        row.save()
        _record(row, actor, "change" if old else "add", before, after)
    if isinstance(row, Ban):
        if isinstance(old, Ban):
            _release(old)
        if row.in_force:
            _enforce(row)
    return True


def remove(row: Row, *, actor: str) -> None:
    """Delete a row."""
    with transaction.atomic():
        before = as_data(row)
        if isinstance(row, Plan):
            # They go with it, and the record is the only place that still tells of them.
            before |= {"limits": [as_data(limit) for limit in row.limits.all()]}
            before |= {"assignments": [as_data(assignment) for assignment in row.assignments.all()]}
        _record(row, actor, "delete", before, {})
        row.delete()
    if isinstance(row, Ban):
        _release(row)


def lift(subject: str, *, actor: str) -> int:
    """End every ban of the subject, in the store and in the rows; gives how many rows were in force."""
    with transaction.atomic():
        rows = Ban.objects.filter(subject=subject, lifted_at__isnull=True)
        lifted = 0
        for row in rows.select_for_update():
            before, was = as_data(row), row.in_force
            row.lifted_at, row.lifted_by = timezone.now(), actor
            row.save(update_fields=["lifted_at", "lifted_by"])
            _record(row, actor, "lift", before, as_data(row))
            lifted += was
        transaction.on_commit(lambda: store.get().forget([ban_key(subject)]))
    return lifted


def record_ban(subject: str, reason: str, seconds: float) -> Ban:
    """The row of a ban that a limit began."""
    row = Ban(subject=subject, reason=reason[:300], until=timezone.now() + timedelta(seconds=seconds), automatic=True)
    with transaction.atomic():
        row.save()
        _record(row, "limits", "ban", {}, as_data(row))
    return row


def reset(subject: str, *, actor: str) -> int:
    """Forget what the subject has used and any ban of theirs; gives how many keys there were."""
    keys = store.get().keys_of(subject)
    count = store.get().forget(keys) if keys else 0
    with transaction.atomic():
        Change.objects.create(actor=actor[:150], action="reset", target=subject[:200], before={"keys": count}, after={})
        changed.send(sender=Change, actor=actor, action="reset", target=subject, before={"keys": count}, after={})
    lift(subject, actor=actor)
    return count


def _record(row: Row, actor: str, action: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    target = f"{row._meta.model_name} {row}"[:200]  # noqa: SLF001 - public by its documentation
    Change.objects.create(actor=actor[:150], action=action, target=target, before=before, after=after)
    changed.send(sender=type(row), actor=actor, action=action, target=target, before=before, after=after)
    _raise_revision()


def _raise_revision() -> None:
    if not Revision.objects.filter(pk=1).update(number=F("number") + 1):
        Revision.objects.get_or_create(pk=1, defaults={"number": 1})
    transaction.on_commit(plans.publish)


def _release(row: Ban) -> None:
    key = ban_key(row.subject)  # as it is now: the row may change before the transaction ends
    transaction.on_commit(lambda: store.get().forget([key]))


def _enforce(row: Ban) -> None:
    left = (row.until - timezone.now()).total_seconds()
    if row.subject.partition(":")[0] in {"user", "token", "addr"}:
        transaction.on_commit(lambda: store.get().ban(ban_key(row.subject), max(1, round(left * 1_000_000))))
