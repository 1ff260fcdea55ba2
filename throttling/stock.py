"""Storage: bytes that stay until they are given back, kept by people and by things, decided for all of them at once.

The project's own records are the truth, and the counters in the store a copy of them. `THROTTLING["STORED"]` names the
function that reads the truth. Where the store keeps no counter, because the plan is new or the store was flushed, it is
set from the truth before anything is decided: forgetting a counter is always safe, and an empty one is not kept.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from uuid import uuid4

from django.utils.module_loading import import_string

from throttling import conf, plans, signals, stats, store
from throttling.decision import Charge, Decision
from throttling.lines import Answer, Verb, line_for
from throttling.rates import Mode, Per, Unit
from throttling.snapshot import STORAGE
from throttling.subjects import Caller

log = logging.getLogger("throttling")
LONGEST = 6 * 3_600  # seconds that a reservation may last: longer than bytes need to be stored
BATCH = 200  # counters that are compared in one call

Truth = Callable[[str], int | None]  # subject -> the bytes that it keeps; None where nobody can tell


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody or something that keeps bytes, and the scope of its limits; `free`: counted and never refused."""

    caller: Caller
    scope: str = STORAGE
    free: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room for `size` bytes that are about to be kept: end it by `keep` or by `drop`."""

    decision: Decision
    holders: tuple[Holder, ...]
    size: int
    name: str

    @property
    def allowed(self) -> bool:
        """False where a limit refuses; then nothing is reserved."""
        return self.decision.allowed


def in_use() -> bool:
    """False where no plan says anything of storage, so that nobody need ask who keeps what."""
    return any(limit.rate.unit is Unit.STORAGE for limits in plans.current().plans.values() for limit in limits)


def exempt(caller: Caller) -> bool:
    """True where nothing may limit what the caller keeps."""
    return plans.current().exempts(caller, STORAGE, time.time())


def look(holders: Sequence[Holder], size: int) -> Decision:
    """Whether there is room for `size` more bytes with every holder; charges nothing and never raises."""
    try:
        charges = _charges(holders, size)
        return _decision(charges, tested(charges)) if charges else Decision(True, STORAGE)
    except Exception:
        log.exception("storage could not be looked at")
        return Decision(True, STORAGE)


def take(holders: Sequence[Holder], size: int) -> Reservation:
    """Charge `size` bytes to every holder, or to none where one has no room. Never raises.

    What a limit in shadow mode would refuse is charged too: the bytes will be there.
    """
    name = uuid4().hex
    decision = Decision(True, STORAGE)
    try:
        charges = _charges(holders, size)
        if charges:
            decision = _take(charges, name)
            told(holders, decision)
    except Exception:
        log.exception("storage could not be reserved")
    return Reservation(decision, tuple(holders), size, name)


def _take(charges: Sequence[Charge], name: str) -> Decision:
    # The note comes first: a store that lost the charge has lost the note as well.
    store.get().once(_note(name), LONGEST)
    tested(charges)
    answer = store.get().decide(Verb.TAKE, [charge.line for charge in charges])
    if not answer.refused_by:
        over = [charge.line for charge, outcome in zip(charges, answer.outcomes, strict=True) if outcome.refused]
        if over:
            store.get().decide(Verb.CHARGE, over)
    return _decision(charges, answer)


def keep(reservation: Reservation) -> None:
    """The bytes are there, and the project's records tell of them. Never raises.

    Charged is what the reservation could not: limits that are new since, and all of it where the store was away or lost
    its memory meanwhile.
    """
    with _logged("what is kept could not be counted"):
        decision = reservation.decision
        lost = decision.charges and (decision.degraded or store.get().once(_note(reservation.name), LONGEST))
        charged = set() if lost else {charge.line.key for charge in decision.charges}
        every = _charges(reservation.holders, reservation.size)
        _count([charge for charge in every if charge.line.key not in charged])


def drop(reservation: Reservation) -> None:
    """The bytes are not kept after all. Never raises."""
    decision = reservation.decision
    if not decision.charges or not decision.allowed or decision.degraded:
        return
    with _logged("reserved storage could not be given back"):
        if not store.get().once(_note(reservation.name), LONGEST):
            store.get().decide(Verb.REFUND, [charge.line for charge in decision.charges])


def release(holders: Sequence[Holder], size: int) -> None:
    """Give back bytes that are gone from the project's records; a counter that is not kept stays so. Never raises."""
    with _logged("released storage could not be given back"):
        charges = _charges(holders, size)
        if charges:
            store.get().decide(Verb.REFUND, [charge.line for charge in charges])


def told(holders: Sequence[Holder], decision: Decision) -> None:
    """Count, log and signal what refused; a refusal of storage begins no ban and is no breach."""
    pairs = zip(decision.charges, decision.answer.outcomes, strict=True)
    refused = [(charge.limit, charge) for charge, outcome in pairs if outcome.refused and charge.limit is not None]
    real = [(limit, charge) for limit, charge in refused if charge.line.enforce and not decision.allowed]
    dry = [(limit, charge) for limit, charge in refused if limit.mode is Mode.SHADOW]
    for signal, verb, found in ((signals.refused, "refused", real), (signals.would_refuse, "would refuse", dry)):
        if found:
            signal.send_robust(sender=None, caller=holders[0].caller, decision=decision)
        for limit, charge in found:
            stats.refused(limit, shadow=limit.mode is Mode.SHADOW)
            log.info("%s storage of %s by %s", verb, charge.subject, limit.name)


def tested(charges: Sequence[Charge]) -> Answer:
    """How the charges stand, charging nothing, after every storage counter that is not kept has been set."""
    lines = [charge.line for charge in charges]
    answer = store.get().decide(Verb.TEST, lines)
    if answer.degraded:
        return answer
    empty = [
        charge
        for charge, outcome in zip(charges, answer.outcomes, strict=True)
        if charge.line.kind == "b" and outcome.level == 0
    ]
    seeded = [_seed(charge) for charge in empty]
    return store.get().decide(Verb.TEST, lines) if any(seeded) else answer


def truth(subject: str) -> int | None:
    """The bytes that a subject keeps, by the project's records."""
    path = conf.get().stored
    found: int | None = _function(path)(subject) if path else None
    return found


@cache
def _function(path: str) -> Truth:
    found: Truth = import_string(path)
    return found


def _seed(charge: Charge) -> int | None:
    """What the counter was set to, unless somebody else did it first; nothing is not kept."""
    true = truth(charge.subject)
    if true:
        store.get().seed(charge.line.key, true)
    return true


def _count(charges: Sequence[Charge]) -> None:
    """Charge bytes that the records tell of already: a counter set from those needs no more."""
    for charge in charges:
        answer = store.get().decide(Verb.TEST, [charge.line])
        if answer.degraded or (answer.outcomes[0].level == 0 and _seed(charge) is not None):
            continue
        store.get().decide(Verb.CHARGE, [charge.line])


def _charges(holders: Iterable[Holder], size: int) -> tuple[Charge, ...]:
    snapshot, now = plans.current(), time.time()
    found: dict[str, Charge] = {}
    for holder in holders:
        for limit, subject in snapshot.resolve(holder.caller, holder.scope):
            if limit.rate.unit is not Unit.STORAGE or (limit.per is Per.ADDRESS and not holder.caller.address):
                continue
            line = line_for(limit, subject, size)
            if holder.free or snapshot.exempts(holder.caller, holder.scope, now):
                line = line._replace(enforce=0)
            found.setdefault(line.key, Charge(line, limit, subject, size))  # a pool may be several holders'
    return tuple(found.values())


def _decision(charges: Sequence[Charge], answer: Answer) -> Decision:
    return Decision(not answer.refused_by, STORAGE, tuple(charges), answer)


def _note(name: str) -> str:
    return f"stock:{name}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A counter and what is true."""

    charge: Charge
    counted: int
    true: int


def differences(holders: Iterable[Holder], tell: Truth = truth) -> list[Difference]:
    """Where the counters of these holders are not what is true. Bytes that are reserved now are such a difference."""
    return _compare(_charges(holders, 0), tell)


def settle(before: Sequence[Difference], tell: Truth = truth) -> int:
    """Correct the differences that are still the same; gives how many.

    Call it some time after they were seen: nobody who reserved room then is still about to use it. A counter that has
    moved meanwhile is left to the next time. What is charged at the same moment is not lost: a counter is corrected by
    its difference and not set.
    """
    same = set(before) & set(_compare([one.charge for one in before], tell))
    for one in same:
        verb = Verb.CHARGE if one.true > one.counted else Verb.REFUND
        store.get().decide(verb, [one.charge.line._replace(cost=abs(one.true - one.counted))])
    return len(same)


def _compare(charges: Iterable[Charge], tell: Truth) -> list[Difference]:
    found, every = [], list(charges)
    for start in range(0, len(every), BATCH):
        part = every[start : start + BATCH]
        answer = store.get().decide(Verb.TEST, [charge.line for charge in part])
        if answer.degraded:
            return []
        for charge, outcome in zip(part, answer.outcomes, strict=True):
            true = tell(charge.subject)
            if true is not None and true != outcome.level:
                found.append(Difference(charge, outcome.level, true))
    return found


@contextmanager
def _logged(sentence: str) -> Iterator[None]:
    """Nothing that goes wrong with a counter undoes what is stored or gone: it is logged, and corrected later."""
    try:
        yield
    except Exception:
        log.exception("%s", sentence)
