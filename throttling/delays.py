"""How many requests a process holds back at once. Each of them occupies what serves it, so there is a bound, as nginx's
queue has one: beyond it a delay becomes a refusal that gives back what it charged.
"""  # noqa: D205 - one sentence

import logging
import threading
import time

from throttling import conf, signals, stats, take
from throttling.decision import Decision
from throttling.rates import SECOND
from throttling.subjects import Caller

log = logging.getLogger("throttling")


class Waiting:
    """The requests that this process holds back now."""

    def __init__(self) -> None:
        self._lock, self._held = threading.Lock(), 0

    @property
    def held(self) -> int:
        """How many they are."""
        return self._held

    def enter(self, most: int) -> bool:
        """Count one more, unless that would be more than `most`."""
        with self._lock:
            if self._held >= most:
                return False
            self._held += 1
            return True

    def leave(self) -> None:
        """Count one less."""
        with self._lock:
            self._held -= 1


waiting = Waiting()


def hold_back(decision: Decision, caller: Caller, *, charged: bool = True) -> Decision:
    """Sleep as long as the decision says, and return it; a refusal instead where too many are held back already.

    The refusal gives back what the decision `charged`, is counted for the limits that asked for the delay, begins no
    ban, and says when to return: after the time that the delay would have taken.
    """
    if not decision.delay_us:
        return decision
    if not waiting.enter(conf.get().most_delayed):
        return _turned_away(decision, caller, charged=charged)
    try:
        signals.delayed.send_robust(sender=None, decision=decision)
        time.sleep(decision.delay_us / SECOND)
    finally:
        waiting.leave()
    return decision


def _turned_away(decision: Decision, caller: Caller, *, charged: bool) -> Decision:
    if charged:
        take.refund(decision)
    pairs = zip(decision.charges, decision.answer.outcomes, strict=True)
    waits = {one.line.key: outcome.wait for one, outcome in pairs if one.line.enforce and not outcome.refused}
    now = take.restated(decision)
    outcomes = [
        outcome._replace(refused=1, wait=waits[one.line.key]) if waits.get(one.line.key) else outcome
        for one, outcome in zip(now.charges, now.answer.outcomes, strict=True)
    ]
    first = next((i for i, outcome in enumerate(outcomes, 1) if outcome.refused), 0)
    answer = now.answer._replace(refused_by=first, outcomes=tuple(outcomes))
    refusal = now._replace(allowed=False, answer=answer)
    signals.refused.send_robust(sender=None, caller=caller, decision=refusal)
    for result in refusal.violated:
        stats.refused(result.limit, shadow=False)
    log.info("refused %s in %s: %d requests are held back already", caller.key, decision.scope, waiting.held)
    return refusal
