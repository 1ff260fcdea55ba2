"""One call decides: `take(caller, scope)` and what it costs, and the answer is a Decision. It never raises."""

import hashlib
import logging
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from throttling import bans, plans, signals, stats, stock, store
from throttling.decision import Charge, Decision, Result
from throttling.lines import NOTHING, Answer, Asking, Costs, Line, Verb, ban_line, key_of, line_for
from throttling.rates import SECOND, Limit, Per, Strategy, Unit
from throttling.snapshot import Bound, Snapshot
from throttling.subjects import Caller, address_key

log = logging.getLogger("throttling")
ONE_REQUEST = Costs()
MOST_PREPARED = 5_000  # charges; with what a snapshot remembers of their callers 1.5 KB each


class Question(NamedTuple):
    """One decision to be made: what `take` (or, with the verb TEST, `look`) is told."""

    caller: Caller
    scope: str
    costs: Costs = ONE_REQUEST
    resource: str = ""
    limits: Sequence[Limit] | None = None
    beside: tuple[str, ...] = ()
    verb: Verb = Verb.TAKE


Prepared = tuple[tuple[Charge, ...], tuple[Line, ...]]  # what a decision tells of, and what the store is asked
NO_LIMITS: Prepared = ((), ())
GUARDS = frozenset({"login", "breach"})  # what an unforeseen fault must not open


def take(
    caller: Caller,
    scope: str,
    costs: Costs = ONE_REQUEST,
    *,
    resource: str = "",
    limits: Sequence[Limit] | None = None,
    beside: tuple[str, ...] = (),
) -> Decision:
    """Charge every limit that applies, or none, and say which it was.

    `resource` is the URL for limits per resource. `limits` replaces the caller's plan. `beside` is keys to read from
    the store's server in the same round trip, found in `decision.answer.beside` where that was possible. The caller
    of this function sleeps `delay_us` before it goes on.
    """
    question = Question(caller, scope, costs, resource, limits, beside)
    decision = decide_all((question,))[0]
    follow_up(question, decision)
    return decision


def look(
    caller: Caller,
    scope: str,
    costs: Costs = ONE_REQUEST,
    *,
    resource: str = "",
    limits: Sequence[Limit] | None = None,
    beside: tuple[str, ...] = (),
) -> Decision:
    """What `take` would say now; charges nothing. With `charge` afterwards, limits count by the response."""
    return decide_all((Question(caller, scope, costs, resource, limits, beside, Verb.TEST),))[0]


def decide_all(questions: Sequence[Question]) -> list[Decision]:
    """Decisions that have nothing to do with each other, in one round trip; each is to be given to `follow_up`.

    What follows a refusal may take long: whoever must not wait gives that to somebody else.
    """
    try:
        return _decide_all(questions)
    except Exception:
        if len(questions) > 1:  # what fails for one must not let the others pass uncounted
            return [decide_all((one,))[0] for one in questions]
        # A fault of the limiter must not become a fault of the service; a guard stays shut.
        (one,) = questions
        log.exception("no limit could be decided for %s in %s", one.caller.key, one.scope)
        return [Decision(one.scope not in GUARDS, one.scope)]


def follow_up(question: Question, decision: Decision) -> None:
    """What comes after a decision: notes, statistics, a ban. Nothing where it only looked."""
    if question.verb is not Verb.TAKE or not (decision.charges or decision.banned_for):
        return
    try:
        if not decision.allowed:
            _refused(question.caller, decision)
        elif is_shadowed(decision):
            _shadowed(question.caller, decision)
    except Exception:
        log.exception("the refusal of %s in %s stands, but was not followed up", question.caller.key, decision.scope)


def is_shadowed(decision: Decision) -> bool:
    """Whether a limit that only watches would have refused."""
    return any(outcome.refused for outcome in decision.answer.outcomes)


def charge(decision: Decision) -> None:
    """Charge what a `look` saw, whatever has happened since."""
    _quietly(Verb.CHARGE, [charge.line for charge in decision.charges])


def refund(decision: Decision, *, size: int | None = None) -> None:
    """Give back what a decision charged and end its lease; with `size`, only so many bytes."""
    if not decision.allowed:
        return
    lines = []
    for made, outcome in zip(decision.charges, decision.answer.outcomes, strict=True):
        if outcome.refused or made.limit is None:
            continue
        if size is None:
            lines.append(made.line)
        elif made.limit.rate.unit is Unit.BYTES:
            # What was sent stays charged: a file above the bucket cost the bucket, and so does a bucket's worth of it.
            kept = line_for(made.limit, made.subject, max(0, made.cost - size))
            lines.append(made.line._replace(cost=made.line.cost - kept.cost))
    _quietly(Verb.REFUND, [line for line in lines if line.cost])


def correct_storage(caller: Caller, scope: str, used: int) -> None:
    """Set what the caller's storage limits in this scope count to what is true: after a lost store, or by night."""
    for limit, subject in plans.current().resolve(caller, scope):
        if limit.rate.unit is Unit.STORAGE:
            store.get().level(key_of(limit, subject), used)


def restated(decision: Decision) -> Decision:
    """The same decision with the limits as they stand now: for the headers after a refund."""
    charges = tuple(Charge(one.line._replace(cost=0), one.limit, one.subject) for one in decision.charges if one.limit)
    answer = _quietly(Verb.TEST, [one.line for one in charges])
    return decision._replace(charges=charges, answer=answer) if answer else decision


def usage(caller: Caller, scopes: Iterable[str]) -> tuple[Result, ...]:
    """How every limit of these scopes stands for the caller; costs nothing."""
    snapshot = plans.current()
    every = dict.fromkeys(pair for scope in scopes for pair in snapshot.resolve(caller, scope))
    return standing([(limit, subject) for limit, subject in every if not limit.per_resource])


def standing(bound: Sequence[Bound]) -> tuple[Result, ...]:
    """How these limits stand for these subjects; costs nothing."""
    charges = tuple(Charge(line_for(limit, subject, 0), limit, subject) for limit, subject in bound)
    return Decision(True, charges=charges, answer=stock.tested(charges)).results if charges else ()


def _decide_all(questions: Sequence[Question]) -> list[Decision]:
    snapshot = plans.current()
    prepared = [_prepared(snapshot, one) for one in questions]
    askings = [
        Asking(one.verb, made[1], one.beside)
        for one, made in zip(questions, prepared, strict=True)
        if not isinstance(made, Decision)
    ]
    answers = iter(_answers(askings))
    return [
        made if isinstance(made, Decision) else _concluded(one, made[0], next(answers))
        for one, made in zip(questions, prepared, strict=True)
    ]


def _answers(askings: Sequence[Asking]) -> list[Answer]:
    if len(askings) == 1:
        (one,) = askings
        return [store.get().decide(one.verb, one.lines, beside=one.beside)]
    return store.get().decide_each(askings) if askings else []


def _prepared(snapshot: Snapshot, question: Question) -> Decision | Prepared:
    """What the store is to be asked, or the decision where it need not be."""
    caller, scope = question.caller, question.scope
    exempt = bool(snapshot.exempt) and snapshot.exempts(caller, scope, time.time())
    if snapshot.bans and not exempt:
        left = snapshot.banned_until(caller) - time.time()
        if left > 0 and scope not in GUARDS:
            return Decision(False, scope, banned_for=round(left * SECOND))
    prepared = NO_LIMITS
    if not exempt:
        prepared = _charges(snapshot, caller, scope, question.costs, question.resource, question.limits)
    if not prepared[0] and not question.beside:
        return Decision(True, scope)
    if question.costs.storage:
        stock.tested(prepared[0])
    return prepared


def _concluded(question: Question, charges: tuple[Charge, ...], answer: Answer) -> Decision:
    if not charges:
        return Decision(True, question.scope, answer=NOTHING._replace(beside=answer.beside))
    if not answer.refused_by:
        return Decision(True, question.scope, charges, answer, lease=question.costs.lease)
    first = charges[answer.refused_by - 1]
    banned = answer.outcomes[answer.refused_by - 1].wait if first.limit is None else 0
    return Decision(False, question.scope, charges, answer, banned_for=banned)


def _charges(
    snapshot: Snapshot, caller: Caller, scope: str, costs: Costs, resource: str, limits: Sequence[Limit] | None
) -> Prepared:
    if limits is not None:
        bound: Sequence[Bound] = [(limit, subject_of(limit, caller)) for limit in limits]
        return _make_charges(caller, costs, resource, bound)
    if costs.lease or costs.storage or (resource and snapshot.per_resource):
        return _make_charges(caller, costs, resource, snapshot.resolve(caller, scope))
    # What costs a caller the same is always the same charge: it is made once per snapshot.
    wanted = caller, scope, costs
    held: Prepared | None = snapshot.prepared.get(wanted)
    if held is None:
        if len(snapshot.prepared) >= MOST_PREPARED:
            snapshot.prepared.clear()
        held = snapshot.prepared[wanted] = _make_charges(caller, costs, "", snapshot.resolve(caller, scope))
    return held


def _make_charges(caller: Caller, costs: Costs, resource: str, bound: Sequence[Bound]) -> Prepared:
    looks: dict[str, Line] = {}
    charges = []
    name = hashlib.sha256(resource.encode()).hexdigest()[:12] if resource else ""
    for limit, subject in bound:
        cost = costs.of(limit.rate.unit)
        if cost is None or (limit.per_resource and not name):
            continue
        if limit.ban_for:
            whom = bans.subject_to_ban(caller, subject)
            extend = limit.ban_for if limit.extend else 0
            looks[whom] = ban_line(whom, max(extend, looks[whom].period if whom in looks else 0))
        lease = costs.lease if limit.rate.strategy is Strategy.LEASES else ""
        line = line_for(limit, subject, cost, resource=name if limit.per_resource else "", lease=lease)
        charges.append(Charge(line, limit, subject, cost))
    every = (*(Charge(line, None, whom) for whom, line in looks.items()), *charges)
    return every, tuple(charge.line for charge in every)


def subject_of(limit: Limit, caller: Caller) -> str:
    """Whose bucket a limit charges that hangs on no plan."""
    if limit.per is Per.ADDRESS:
        return address_key(caller.address)
    if limit.per is Per.ASSIGNEE:
        return "everyone"
    return f"token:{caller.token}" if limit.per is Per.TOKEN and caller.token else caller.key


def _refused(caller: Caller, decision: Decision) -> None:
    signals.refused.send_robust(sender=None, caller=caller, decision=decision)
    for result in decision.violated:
        stats.refused(result.limit, shadow=False)
        log.info("refused %s in %s by %s", caller.key, decision.scope, result.limit.name)
    if decision.banned_for:
        return
    for result in decision.violated:
        # A guard that could not ask the store refused everybody: nobody has earned a ban by that.
        if result.limit.ban_for and not (decision.degraded and result.limit.closed):
            reason = f"more than {result.limit.rate} in {decision.scope} ({result.limit.name})"
            bans.begin(bans.subject_to_ban(caller, result.subject), result.limit.ban_for, reason)
    if decision.scope != "breach" and plans.current().resolve(caller, "breach"):
        take(caller, "breach")


def _shadowed(caller: Caller, decision: Decision) -> None:
    signals.would_refuse.send_robust(sender=None, caller=caller, decision=decision)
    for result in decision.shadowed:
        stats.refused(result.limit, shadow=True)
        log.info("would refuse %s in %s by %s", caller.key, decision.scope, result.limit.name)


def _quietly(verb: Verb, lines: list[Line]) -> Answer | None:
    if not lines:
        return None
    try:
        return store.get().decide(verb, lines)
    except Exception:
        log.exception("a %s was lost", verb)
        return None
