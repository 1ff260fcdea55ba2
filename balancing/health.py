"""What happened to a node becomes its health: the only place where health is written.

Each report reads the row, lets a pure function of `balancing.states` judge, and writes where nobody else has written
since, else tries again with what is there now. Reports come from downloads, so nothing here raises for a database that
does not answer: the report is lost and a line is logged. Times are seconds since 1970, taken from this host's clock.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from random import Random
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction

from balancing import conf, picture, signals, snapshot, states
from balancing.backends import Condition
from balancing.fleet import may_eject
from balancing.models import Health, Node
from balancing.policies.peak_ewma import updated
from balancing.states import NodeState, Rules

TRIES = 5
LONGEST_ERROR = 300
MOST_BYTES, MOST_LOAD, MOST_TRANSFERS = 2**62, 1e6, 10**6
LATENCY_DECAY = 60.0  # seconds in which most of an old probe's time is forgotten

log = logging.getLogger("balancing.health")
_random = Random()  # noqa: S311 - spreads probes, guards nothing
# What an event makes of a state, at a time; the flag says whether an ejection is allowed.
Event = Callable[[NodeState, float, Rules, bool], NodeState]


def probed(
    name: str,
    passed: bool,
    seconds: float,
    condition: Condition | None = None,
    detail: str = "",
    *,
    used: int | None = None,
    publish: bool = True,
) -> bool:
    """An active probe took `seconds`; `detail` says why it failed, `used` how many bytes of copies the node has.

    False where there is no such node any more, or the report was lost. Without `publish` the caller shows the picture.
    """
    jitter = _random.uniform(-1, 1)

    def event(state: NodeState, now: float, rules: Rules, _: bool) -> NodeState:
        return states.probed(state, passed=passed, now=now, rules=rules, jitter=jitter)

    def more(row: Health, now: float) -> dict[str, Any]:
        found: dict[str, Any] = {} if used is None else {"used": used}
        if not passed:
            return found | _error(detail, now)
        # Two probes of a node lie about one interval apart; the exact time between them matters little here.
        found["latency"] = updated(row.latency, seconds, conf.get().health.interval, LATENCY_DECAY)
        if condition is not None:
            found |= _told(condition)
        return found

    return _report(name, event, more, publish=publish)


def failed(name: str, reason: str) -> None:
    """A transfer from the node broke."""
    _report(name, _failed, lambda _, now: _error(reason, now))


def asked_again(name: str) -> None:
    """A client asked for a file again right after it was sent to the node for it."""
    _report(name, _asked_again)


def succeeded(name: str, seconds: float = 0.0) -> None:
    """A whole transfer, which took `seconds`. Costs no database while nothing speaks against the node."""
    seen = snapshot.current().member(name)
    log.debug("%s finished a transfer in %.3f s", name, seconds)
    if seen is not None and seen.state.score > 0:
        _report(name, lambda state, now, rules, _: states.succeeded(state, now, rules))


def word(state: NodeState, now: float) -> str:
    """up, down or ejected."""
    if not state.up:
        return "down"
    return "ejected" if states.is_ejected(state, now) else "up"


def _failed(state: NodeState, now: float, rules: Rules, may: bool) -> NodeState:
    return states.failed(state, now, rules, may_eject=may)


def _asked_again(state: NodeState, now: float, rules: Rules, may: bool) -> NodeState:
    return states.asked_again(state, now, rules, may_eject=may)


def _told(condition: Condition) -> dict[str, Any]:
    """What the node says, within what the database holds: it may say anything."""
    free = None if condition.free is None else min(max(0, condition.free), MOST_BYTES)
    load = min(max(0.0, condition.load), MOST_LOAD) if isfinite(condition.load) else 0.0
    return {"free": free, "load": load, "in_flight": min(max(0, condition.in_flight), MOST_TRANSFERS)}


def _error(reason: str, now: float) -> dict[str, Any]:
    text = "".join(letter if letter.isprintable() else " " for letter in reason)
    return {"last_error": text[:LONGEST_ERROR], "last_error_at": _moment(now)}


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def _report(
    name: str,
    event: Event,
    more: Callable[[Health, float], dict[str, Any]] = lambda _row, _now: {},
    *,
    publish: bool = True,
) -> bool:
    try:
        for _ in range(TRIES):
            done = _once(name, event, more, publish=publish)
            if done is not None:
                return done
        log.warning("A report about %s is lost: others kept writing.", name)
    except (DatabaseError, InterfaceError) as error:
        log.warning("A report about %s is lost: %s", name, error)
    return False


def _once(name: str, event: Event, more: Callable[[Health, float], dict[str, Any]], *, publish: bool) -> bool | None:
    """One try; None where somebody else was quicker."""
    rules, now = conf.get().health, time.time()
    with transaction.atomic():
        number = snapshot.revision()
        row = Health.objects.filter(pk=name).first()
    if row is None:
        return False
    before = picture.plausible(picture.state_from_json(row.state), now, rules)
    after = event(before, now, rules, True)
    ejects = after.ejections != before.ejections and states.is_ejected(after, now)
    if ejects and not _may_eject(name, now, rules):
        after, ejects = event(before, now, rules, False), False
    fields = more(row, now)
    if after == before and not fields.keys() - {"last_error", "last_error_at"}:
        return True
    if not ejects and _says_nothing_new(before, after, now, rules):
        return True
    if before.up != after.up:
        fields["down_since"] = None if after.up else _moment(now)
    # Who may be ejected depends on all nodes, so an ejection holds only while none of them has changed since.
    return _written(row, before, after, fields, now, number if ejects else None, publish=publish) or None


def _says_nothing_new(before: NodeState, after: NodeState, now: float, rules: Rules) -> bool:
    """True where the evidence was full before: a node that may not be ejected must not cost a write a download."""
    full = 0.95 * rules.evidence
    return after.score >= full and states.score_at(before, now, rules) >= full and after.next_probe == before.next_probe


def _may_eject(name: str, now: float, rules: Rules) -> bool:
    rows = Node.objects.select_related("health")
    members = [snapshot.view(row, now, rules).member for row in rows]
    return may_eject(members, name, now, rules)


def _written(
    row: Health,
    before: NodeState,
    after: NodeState,
    fields: dict[str, Any],
    now: float,
    expected: int | None,
    *,
    publish: bool,
) -> bool:
    with transaction.atomic():
        rows = Health.objects.filter(pk=row.pk, number=row.number)
        written = rows.update(**fields, state=picture.state_to_json(after), number=row.number + 1)
        if not written or not snapshot.bump(expected):
            transaction.set_rollback(True)
            return False
        if publish:
            transaction.on_commit(snapshot.publish)
        transaction.on_commit(partial(_announce, row.pk, word(before, now), word(after, now), after, now))
    return True


def _announce(name: str, before: str, after: str, state: NodeState, now: float) -> None:
    if before == after:
        return
    level = logging.INFO if after == "up" else logging.WARNING
    until = f" for {state.ejected_until - now:.0f} s" if after == "ejected" and state.ejected_until else ""
    log.log(level, "node %s is %s%s", name, after, until)
    for _, answer in signals.health_changed.send_robust(sender=Health, node=name, before=before, after=after):
        if isinstance(answer, Exception):
            log.error("a receiver of `health_changed` failed: %s", answer)
