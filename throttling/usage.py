"""How callers stand, for people and programs: asking costs nothing."""

from dataclasses import dataclass
from typing import Any

from throttling import plans, take
from throttling.decision import Result
from throttling.headers import seconds
from throttling.rates import Per
from throttling.snapshot import APART, Snapshot
from throttling.subjects import Caller


@dataclass(frozen=True, slots=True)
class Usage:
    """One limit of one subject. Times in seconds."""

    name: str
    subject: str
    rate: str
    unit: str
    scopes: tuple[str, ...]
    mode: str
    quota: int
    used: int
    remaining: int
    resets_in: int | None
    used_up_in: int | None


def of_result(result: Result) -> Usage:
    """The usage that a result tells of."""
    window = result.rate.period or 30 * 86_400_000_000
    forecast = result.used_up_in(window)
    reset = result.outcome.reset
    return Usage(
        name=result.limit.name,
        subject=result.subject,
        rate=str(result.rate),
        unit=str(result.rate.unit),
        scopes=tuple(sorted(result.limit.scopes)),
        mode=str(result.limit.mode),
        quota=result.quota,
        used=result.used,
        remaining=result.remaining,
        resets_in=seconds(reset) if reset >= 0 else None,
        used_up_in=None if forecast is None else seconds(forecast),
    )


def of_caller(caller: Caller) -> tuple[Usage, ...]:
    """Every limit of the caller's, in every scope."""
    return tuple(of_result(result) for result in take.usage(caller, scopes_of(plans.current())))


def scopes_of(snapshot: Snapshot) -> tuple[str, ...]:
    """Every scope that a limit names, and `request` for the limits that name none."""
    named = {scope for limits in snapshot.plans.values() for limit in limits for scope in limit.scopes}
    return ("request", *sorted(named | APART))


def of_subject(subject: str) -> tuple[Usage, ...]:
    """What is known of a user, token or address by its key alone: groups are not looked up."""
    return of_caller(caller_from(subject))


def of_assignment(subject: str, plan: str) -> tuple[Usage, ...]:
    """A plan's limits as far as the subject of its assignment has buckets of its own."""
    single = subject.partition(":")[0] in {"user", "token", "addr", "key"}
    limits = plans.current().plans.get(plan, ())
    bound = [
        (limit, subject)
        for limit in limits
        if (limit.per is Per.ASSIGNEE or (single and limit.per is not Per.ADDRESS)) and not limit.per_resource
    ]
    return tuple(of_result(result) for result in take.standing(bound))


def caller_from(subject: str) -> Caller:
    """The caller that a subject's key stands for."""
    kind, _, name = subject.partition(":")
    fields: dict[str, Any] = {
        "user": {"user": name},
        "token": {"token": name},
        "group": {"groups": (name,)},
        "key": {"name": name},
    }
    if kind == "addr":
        return Caller(address=name.removesuffix("/64"))
    return Caller(**fields.get(kind, {}))
