"""Bytes per second of a caller over all their downloads together: limits in bytes of the scope `bandwidth`."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator

from throttling import conf, leases, plans, store
from throttling.decision import Decision
from throttling.lines import Line, Verb, line_for
from throttling.rates import MOST_DELAY, SECOND, Limit, Strategy, Unit
from throttling.stores.base import StoreError
from throttling.subjects import Caller

log = logging.getLogger("throttling")
SCOPE = "bandwidth"
PIECE = 64 << 10  # bytes that are charged at once
MOST_STALL = 60  # seconds that one piece may wait before it is let through and logged


def limits_of(caller: Caller) -> list[tuple[Limit, str]]:
    """The caller's bandwidth limits that are enforced, and whose bucket each charges."""
    return [
        (limit, subject)
        for limit, subject in plans.current().resolve(caller, SCOPE)
        if limit.rate.unit is Unit.BYTES and limit.rate.strategy is Strategy.GCRA and limit.mode == "enforce"
    ]


def shaped(chunks: Iterable[bytes], caller: Caller, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[bytes]:
    """The same bytes at the caller's pace. Parallel downloads of the caller, on any host, share the pace."""
    bound = limits_of(caller)
    if not bound:
        yield from chunks
        return
    piece = max(1, min(PIECE, *(limit.rate.bucket for limit, _ in bound)))
    for chunk in chunks:
        for start in range(0, len(chunk), piece):
            part = chunk[start : start + piece]
            _wait(bound, len(part), sleep)
            yield part


def _wait(bound: list[tuple[Limit, str]], size: int, sleep: Callable[[float], None]) -> None:
    # A place in the queue is taken at once and waited for: a stream that polls could be overtaken for ever.
    lines = [line_for(limit, subject, size)._replace(extra=MOST_DELAY) for limit, subject in bound]
    end = time.monotonic() + MOST_STALL
    while True:
        refused, wait = _ask(lines)
        sleep(wait / SECOND)
        if not refused:
            return
        if time.monotonic() > end:
            log.warning("%d bytes waited %d s for bandwidth and are let through", size, MOST_STALL)
            return


def _ask(lines: list[Line]) -> tuple[bool, int]:
    try:
        answer = store.get().decide(Verb.TAKE, lines)
    except StoreError:
        return False, 0
    return bool(answer.refused_by), max(outcome.wait for outcome in answer.outcomes)


def accel_rate(caller: Caller, decision: Decision) -> int | None:
    """Bytes per second for `X-Accel-Limit-Rate`: the caller's rate divided by their live leases; None: no limit.

    nginx keeps the rate that a response began with, so a caller's sum may exceed the limit for as long as an
    earlier response was begun with fewer beside it.
    """
    rates = [limit.rate.quota * SECOND // limit.rate.period for limit, _ in limits_of(caller)]
    return max(1, min(rates) // leases.live(decision)) if rates else None


def lease_for_accel(decision: Decision, size: int, rate: int | None) -> None:
    """Give the lease the life that nginx will need to send `size` bytes: Django does not hear when it has."""
    least = conf.get().accel_life * SECOND
    leases.renew(decision, max(least, size * SECOND // rate * 5 // 4) if rate else least)
