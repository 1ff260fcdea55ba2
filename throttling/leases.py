"""Concurrent requests as leases: taken with the decision, renewed while bytes flow, given back at the end.

A worker that is killed gives nothing back; its lease ends by itself when nobody renews it.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from throttling import store, take
from throttling.decision import Decision
from throttling.lines import Costs, Line, Verb
from throttling.rates import SECOND
from throttling.stores.base import StoreError
from throttling.subjects import Caller


def new() -> str:
    """A name for a lease, for `Costs(lease=...)`."""
    return uuid.uuid4().hex[:16]


def lines(decision: Decision) -> list[Line]:
    """The decision's leases."""
    return [charge.line for charge in decision.charges if charge.line.kind == "n"] if decision.allowed else []


def live(decision: Decision) -> int:
    """How many leases the fullest limit counts now, this one included; 1 where nothing counts them."""
    pairs = zip(decision.charges, decision.answer.outcomes, strict=True)
    return max((outcome.level for charge, outcome in pairs if charge.line.kind == "n"), default=1) or 1


def renew(decision: Decision, life: int = 0) -> None:
    """Start the lease's life again, of `life` us or as the limit says."""
    held = [line._replace(period=life or line.period) for line in lines(decision)]
    _ask(Verb.TAKE, held)


def release(decision: Decision) -> None:
    """End the lease; harmless when it has ended."""
    _ask(Verb.REFUND, lines(decision))


def _ask(verb: Verb, held: list[Line]) -> None:
    if held:
        try:
            store.get().decide(verb, held)
        except StoreError:
            return  # it ends by itself


@contextmanager
def hold(caller: Caller, scope: str) -> Iterator[Decision]:
    """Hold a lease around a block of work; the block looks at `allowed` first."""
    decision = take.take(caller, scope, Costs(requests=0, lease=new()))
    try:
        yield decision
    finally:
        release(decision)


def renewing(chunks: Iterable[bytes], decision: Decision) -> Iterator[bytes]:
    """The chunks, with the lease renewed thrice in its life and released when they end, fail or are abandoned."""
    held = lines(decision)
    pace = min((line.period for line in held), default=0) / SECOND / 3
    last = time.monotonic()
    try:
        for chunk in chunks:
            yield chunk
            if held and time.monotonic() - last > pace:
                renew(decision)
                last = time.monotonic()
    finally:
        release(decision)
        close = getattr(chunks, "close", None)
        if close:
            close()
