"""Concurrent requests as leases: taken with the decision, renewed while bytes flow, given back at the end.

A worker that is killed gives nothing back; its lease ends by itself when nobody renews it.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self

from throttling import plans, store, take
from throttling.decision import Decision
from throttling.lines import Costs, Line, Verb
from throttling.rates import SECOND, Unit
from throttling.stores.base import StoreError
from throttling.subjects import Caller


def new() -> str:
    """A name for a lease, for `Costs(lease=...)`."""
    return uuid.uuid4().hex[:16]


def wanted(caller: Caller, scope: str) -> str:
    """As `new`; empty where nothing counts what the caller has under way in this scope."""
    counted = [limit for limit, _ in plans.current().resolve(caller, scope) if limit.rate.unit is Unit.CONCURRENT]
    return new() if counted else ""


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


class Renewing:
    """The chunks, with the lease renewed thrice in its life and released when they end, fail or are abandoned.

    Of `length` bytes that were to go out, those that did not are given back to limits in bytes. A chunk has gone out
    when the next one is asked for. Not a generator: closing one that has not begun does nothing.
    """

    def __init__(self, chunks: Iterable[bytes], decision: Decision, length: int = 0) -> None:
        self._source, self._chunks = chunks, iter(chunks)
        self._decision, self._length = decision, length
        self._pace = min((line.period for line in lines(decision)), default=0) / SECOND / 3
        self._last, self._sent, self._under_way, self._over = time.monotonic(), 0, 0, False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        self._sent += self._under_way
        self._under_way = 0
        if self._pace and time.monotonic() - self._last > self._pace:
            renew(self._decision)
            self._last = time.monotonic()
        try:
            chunk = next(self._chunks)
        except BaseException:
            self.close()
            raise
        self._under_way = len(chunk)
        return chunk

    def close(self) -> None:
        """End the lease; harmless when it has ended."""
        if self._over:
            return
        self._over = True
        release(self._decision)
        give_back_unsent(self._decision, self._length, self._sent)
        for one in (self._chunks, self._source):
            close = getattr(one, "close", None)
            if close:
                close()


def renewing(chunks: Iterable[bytes], decision: Decision, length: int = 0) -> Iterator[bytes]:
    """The chunks as `Renewing`."""
    return Renewing(chunks, decision, length)


def give_back_unsent(decision: Decision, length: int, sent: int) -> None:
    """Return what limits in bytes were charged for the part of `length` bytes that did not go out."""
    if sent < length:
        take.refund(decision, size=length - sent)
