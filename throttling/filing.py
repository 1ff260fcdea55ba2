"""Plans as a TOML file: read, compared with the rows, and applied. What the file says twice changes nothing.

The file owns the plans that it names, with their limits and assignments; other plans are left alone unless the file
says `prune = true`. Exemptions are added and changed, and with `prune` removed. Bans are not kept in files.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.dateparse import parse_datetime

from throttling import services
from throttling.models import Assignment, Exemption, Limit, Plan
from throttling.named import resolve
from throttling.subjects import SubjectError

LIMIT_FIELDS = ("rate", "scopes", "per", "mode", "ban_seconds", "extend", "per_resource", "closed")


class PlanFileError(ValueError):
    """The file cannot be used; the message has a line for each fault."""


@dataclass(frozen=True, slots=True)
class Step:
    """One difference between the file and the rows."""

    sign: str  # + - ~
    text: str


def read(text: str) -> dict[str, Any]:
    """Parse and check the outer shape. Raises PlanFileError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanFileError(f"This is no TOML: {error}.") from None
    unknown = sorted(set(data) - {"plans", "exemptions", "prune"})
    if unknown:
        raise PlanFileError(f"The file knows plans, exemptions and prune, not {', '.join(unknown)}.")
    if not isinstance(data.get("plans", {}), dict) or not isinstance(data.get("exemptions", []), list):
        raise PlanFileError("Write [plans.NAME] tables and [[exemptions]] entries.")
    return data


def apply(text: str, *, actor: str, dry_run: bool = False) -> list[Step]:
    """Make the rows what the file says, in one transaction, and tell what differed. Raises PlanFileError."""
    data, steps, faults = read(text), [], []
    with transaction.atomic():
        for name, wanted in data.get("plans", {}).items():
            try:
                steps += _plan(name, dict(wanted), actor)
            except (ValidationError, SubjectError, TypeError, AttributeError, ValueError) as error:
                faults.append(f"plan {name}: {_sentence(error)}")
        for wanted in data.get("exemptions", []):
            try:
                steps += _exemption(dict(wanted), actor)
            except (ValidationError, SubjectError, TypeError, AttributeError, ValueError, KeyError) as error:
                faults.append(f"exemption {wanted}: {_sentence(error)}")
        if data.get("prune") is True and not faults:
            steps += _prune(data, actor)
        if dry_run or faults:
            transaction.set_rollback(True)
    if faults:
        raise PlanFileError("\n".join(faults))
    return steps


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        if hasattr(error, "error_dict"):
            return " ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
        return " ".join(error.messages)
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _plan(name: str, wanted: dict[str, Any], actor: str) -> list[Step]:
    limits, subjects = wanted.pop("limits", {}), wanted.pop("assign", [])
    plan = Plan.objects.filter(name=name).first() or Plan(name=name)
    plan.description = wanted.pop("description", "")
    _nothing_left(wanted)
    steps = _save(plan, f"plan {name}", actor)
    for key, values in limits.items():
        row = Limit.objects.filter(plan=plan, name=key).first() or Limit(plan=plan, name=key)
        _set(row, _limit_values(values), LIMIT_FIELDS)
        steps += _save(row, f"limit {name}/{key} {row.rate}", actor)
    steps += _drop(plan.limits.exclude(name__in=list(limits)), "limit", actor)
    keep = []
    for item in subjects:
        values = {"subject": item} if isinstance(item, str) else dict(item)
        subject = resolve(str(values.pop("subject", "")))
        keep.append(subject)
        found = Assignment.objects.filter(plan=plan, subject=subject).first()
        row_ = found or Assignment(plan=plan, subject=subject)
        _set(row_, values, ("order", "note"))
        steps += _save(row_, f"assignment {subject} to {name}", actor)
    return steps + _drop(plan.assignments.exclude(subject__in=keep), "assignment", actor)


def _limit_values(values: Any) -> dict[str, Any]:
    found = {"rate": values} if isinstance(values, str) else dict(values)
    if isinstance(found.get("scopes"), list):
        found["scopes"] = " ".join(found["scopes"])
    return found


def _exemption(wanted: dict[str, Any], actor: str) -> list[Step]:
    subject = resolve(str(wanted.pop("subject")))
    row = Exemption.objects.filter(subject=subject).first() or Exemption(subject=subject)
    if isinstance(wanted.get("scopes"), list):
        wanted["scopes"] = " ".join(wanted["scopes"])
    if isinstance(wanted.get("expires_at"), str):
        wanted["expires_at"] = parse_datetime(wanted["expires_at"])
    _set(row, wanted, ("note", "scopes", "expires_at"))
    return _save(row, f"exemption {subject}", actor)


def _set(row: models.Model, values: dict[str, Any], names: Iterable[str]) -> None:
    """What the file leaves out has its default: the file is the whole truth of a row."""
    for name in names:
        field = row._meta.get_field(name)  # noqa: SLF001 - public by its documentation
        setattr(row, name, values.pop(name, field.get_default()))  # type: ignore[union-attr] # plain fields only
    _nothing_left(values)


def _nothing_left(values: dict[str, Any]) -> None:
    if values:
        raise ValueError(f"{', '.join(sorted(values))} is unknown here.")


def _save(row: models.Model, text: str, actor: str) -> list[Step]:
    new = row.pk is None
    return [Step("+" if new else "~", text)] if services.save(row, actor=actor) else []


def _drop(rows: Iterable[models.Model], kind: str, actor: str) -> list[Step]:
    steps = []
    for row in list(rows):
        steps.append(Step("-", f"{kind} {row}"))
        services.remove(row, actor=actor)
    return steps


def _prune(data: dict[str, Any], actor: str) -> list[Step]:
    named = [resolve(str(item["subject"])) for item in data.get("exemptions", [])]
    steps = _drop(Plan.objects.exclude(name__in=list(data.get("plans", {}))), "plan", actor)
    return steps + _drop(Exemption.objects.exclude(subject__in=named), "exemption", actor)
