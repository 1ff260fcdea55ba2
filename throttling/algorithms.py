"""The arithmetic of each kind of limit, exactly as `lua/take.lua` does it. Pure: state and time in, verdict out.

The memory store runs these; the Redis store runs the script; a property test holds the two together. GCRA's theorem,
which the tests assert: in any window W the admitted cost is at most burst + W / T, where T is the emission interval.
"""

import math
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from throttling.lines import Line, Outcome, Verb

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Verdict(NamedTuple):
    """One line's check: whether it refuses, and what to say and keep if it is charged or not."""

    refused: int
    wait: int
    before: int
    after: int
    reset: int
    reset_after: int
    state: Any  # the state brought up to `now`, uncharged; None where nothing is kept


def next_month(now: int) -> int:
    """Start of the month of UTC after the one that holds `now`, in us."""
    moment = EPOCH + timedelta(microseconds=now)
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=monthrange(first.year, first.month)[1]) - EPOCH) // MICROSECOND


def window_end(line: Line, now: int) -> int:
    """When a fixed or calendar window that is open at `now` ends at the latest."""
    if line.kind == "f":
        return now + line.period
    return next_month(now) if line.period == 0 else (now // line.period + 1) * line.period


def gcra(line: Line, state: int | None, now: int) -> Verdict:
    """Generic cell rate algorithm: the state is the theoretical arrival time of the next unit."""
    reach = line.limit + int(line.extra)
    base = max(state or 0, now)
    new, backlog = base + line.cost, base - now
    if line.cost > reach:
        return Verdict(1, -1, backlog, backlog, backlog, backlog, base)
    early = new - reach - now
    if early > 0:
        return Verdict(1, early, backlog, new - now, backlog, new - now, base)
    return Verdict(0, max(0, new - line.limit - now), backlog, new - now, backlog, new - now, base)


def window(line: Line, state: tuple[int, int] | None, now: int) -> Verdict:
    """A fixed or calendar window: the state is its end and the count."""
    stop, count = state or (0, 0)
    latest = window_end(line, now)
    if stop <= now:
        stop, count = latest, 0
    left, after = stop - now, count + line.cost
    if after <= line.limit:
        return Verdict(0, 0, count, after, left if count else 0, left, (stop, count))
    wait = -1 if line.cost > line.limit else left
    return Verdict(1, wait, count, after, left, left, (stop, count))


def sliding(line: Line, state: tuple[int, int, int] | None, now: int) -> Verdict:
    """Two counters: the previous window counts for the share of it that the sliding window still covers."""
    index, prev, cur = state or (0, 0, 0)
    cost, limit, period = line.cost, line.limit, line.period
    here = now // period
    if index < here:
        prev, cur = (cur if index == here - 1 else 0), 0
    into = now - here * period
    weighted = prev * ((period - into) / period)
    before = math.ceil(weighted) + cur
    reset = 2 * period - into if cur else (period - into if prev else 0)
    full = 2 * period - into if cost else reset
    kept = (here, prev, cur)
    if weighted + cur + cost <= limit:
        return Verdict(0, 0, before, before + cost, reset, full, kept)
    if cost > limit:
        return Verdict(1, -1, before, before + cost, reset, full, kept)
    room = limit - cost - cur
    if room >= 0:
        wait = math.ceil(period * (1 - room / prev) - into)
    else:
        wait = period - into + max(0, math.ceil(period * (1 - (limit - cost) / cur)))
    return Verdict(1, max(1, wait), before, before + cost, reset, full, kept)


Log = tuple[tuple[int, int], ...]


def log(line: Line, state: Log | None, now: int) -> Verdict:
    """The exact log: the state is every admission of the last period, old to new, as (time, cost)."""
    entries = state or ()
    fresh = next((i for i, entry in enumerate(entries) if entry[0] + line.period > now), len(entries))
    entries = entries[fresh:]
    total = sum(cost for _, cost in entries)
    reset = max(0, entries[-1][0] + line.period - now) if entries else 0
    full = line.period if line.cost else reset
    if total + line.cost <= line.limit:
        return Verdict(0, 0, total, total + line.cost, reset, full, entries)
    if line.cost > line.limit:
        return Verdict(1, -1, total, total + line.cost, reset, full, entries)
    over, wait = total + line.cost - line.limit, 0
    for at, cost in entries:
        over, wait = over - cost, at + line.period - now
        if over <= 0:
            break
    return Verdict(1, max(1, wait), total, total + line.cost, reset, full, entries)


def leases(line: Line, state: dict[str, int] | None, now: int) -> Verdict:
    """Things going on: the state is each lease's deadline, so that a dead holder's lease ends by itself."""
    held = {name: deadline for name, deadline in (state or {}).items() if deadline > now}
    count = len(held)
    if line.extra in held:
        return Verdict(0, 0, count, count, line.period, line.period, held)
    if line.cost == 0 or count < line.limit:
        return Verdict(0, 0, count, count + min(line.cost, 1), 0, line.period, held)
    wait = max(1, min(held.values()) - now)
    return Verdict(1, wait, count, count, wait, wait, held)


def stock(line: Line, state: int | None, _now: int) -> Verdict:
    """An amount that stays until it is given back; giving nothing is always possible."""
    held = state or 0
    refused = int(line.cost > 0 and held + line.cost > line.limit)
    return Verdict(refused, -refused, held, held + line.cost, -1, -1, held)


def ban(_line: Line, state: int | None, now: int) -> Verdict:
    """A ban: the state is its end."""
    stop = state or 0
    left = stop - now
    return Verdict(0, 0, 0, 0, 0, 0, None) if left <= 0 else Verdict(1, left, 1, 1, left, left, stop)


def believable(line: Line, state: Any, now: int) -> Any:
    """The state with no time further off than the limit can reach.

    A new primary's clock may be behind, or the limit was raised; what is cut must be kept, or the limit would stay
    empty until that far future.
    """
    if line.kind == "g" and state is not None:
        return min(state, now + line.limit + int(line.extra))
    if line.kind in {"f", "c"} and state is not None:
        return min(state[0], window_end(line, now)), state[1]
    return state


CHECK: dict[str, Callable[[Line, Any, int], Verdict]] = {
    "g": gcra,
    "f": window,
    "c": window,
    "s": sliding,
    "l": log,
    "n": leases,
    "b": stock,
    "x": ban,
}


def charged(line: Line, state: Any, now: int) -> Any:
    """The state after charging the line to it."""
    cost = line.cost
    match line.kind:
        case "g" | "b":
            return state + cost
        case "f" | "c":
            return state[0], state[1] + cost
        case "s":
            return state[0], state[1], state[2] + cost
        case "l":
            return (*state, (now, cost))
        case "n":
            return state | {line.extra: now + line.period}
    return state


def refunded(line: Line, state: Any, now: int) -> Any:
    """The state after giving the line's cost back; None where nothing is left to keep."""
    back = REFUND.get(line.kind)
    return back(line, state, now) if back else state


def _window_refunded(line: Line, state: tuple[int, int], _now: int) -> tuple[int, int] | None:
    return (state[0], state[1] - line.cost) if state[1] > line.cost else None


def _log_refunded(line: Line, entries: Log, _now: int) -> Log:
    cost = line.cost
    while entries and cost > 0:
        at, last = entries[-1]
        entries = entries[:-1] if last <= cost else (*entries[:-1], (at, last - cost))
        cost -= last
    return entries


REFUND: dict[str, Callable[[Line, Any, int], Any]] = {
    "g": lambda line, tat, now: max(now, tat - line.cost),
    "b": lambda line, held, _: max(0, held - line.cost),
    "f": _window_refunded,
    "c": _window_refunded,
    "s": lambda line, state, _: (state[0], state[1], max(0, state[2] - line.cost)),
    "l": _log_refunded,
    "n": lambda line, held, _: {name: deadline for name, deadline in held.items() if name != line.extra},
}


def expires(line: Line, state: Any, now: int) -> int | None:
    """When the state may be forgotten, in us; None: never."""
    match line.kind:
        case "g" | "x":
            return int(state)
        case "f" | "c":
            return int(state[0])
        case "s":
            return int((state[0] + 2) * line.period)
        case "l":
            return now + line.period
        case "n":
            return max(state.values(), default=now)
    return None


def decide(verb: Verb, lines: tuple[Line, ...], states: dict[str, Any], now: int) -> tuple[int, tuple[Outcome, ...]]:
    """Decide all lines against `states`, and change `states` as the verb says: the whole of the script.

    Gives the first enforcing line that refused (0: none) and each line's outcome.
    """
    for line in lines:
        states[line.key] = believable(line, states.get(line.key), now)
    verdicts = [CHECK[line.kind](line, states.get(line.key), now) for line in lines]
    refused_by = next((i for i, (line, v) in enumerate(zip(lines, verdicts, strict=True), 1)
                       if v.refused and line.enforce), 0)  # fmt: skip
    outcomes = []
    for line, verdict in zip(lines, verdicts, strict=True):
        charge = verb is Verb.CHARGE or (verb is Verb.TAKE and not refused_by and not verdict.refused)
        if verb is Verb.REFUND:
            states[line.key] = refunded(line, verdict.state, now)
        elif charge and line.kind != "x" and line.cost:
            states[line.key] = charged(line, verdict.state, now)
        elif line.kind == "x" and verb is Verb.TAKE and verdict.refused and line.period:
            stop = max(verdict.state, now + line.period)
            states[line.key] = stop
            left = stop - now
            verdict = verdict._replace(wait=left, reset=left, reset_after=left)  # noqa: PLW2901 - the ban moved
        outcomes.append(
            Outcome(
                verdict.refused,
                verdict.after if charge else verdict.before,
                verdict.wait,
                verdict.reset_after if charge else verdict.reset,
            )
        )
    return refused_by, tuple(outcomes)
