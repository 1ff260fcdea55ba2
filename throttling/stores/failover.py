"""Redis with local memory behind it: one time-out, then the process decides alone, and comes back by itself."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from throttling.lines import Answer, Asking, Line, Outcome, Verb
from throttling.stores.base import Store, StoreError

T = TypeVar("T")
log = logging.getLogger("throttling")
CLOSED_WAIT = 1_000_000  # what a guard that stays closed tells the caller to wait, in us


class Breaker:
    """Closed while the store answers. Open after a fault: one caller per `retry` s tries, the others do not wait."""

    def __init__(self, retry: float) -> None:
        self.retry, self.opened_at, self.reason = retry, 0.0, ""
        self._again_at = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """True while the store is believed to be away."""
        return self.opened_at > 0

    def may_ask(self) -> bool:
        """True when the store is fine, and for the one caller whose turn it is to try an absent one."""
        if not self.opened_at:
            return True
        now = time.monotonic()
        with self._lock:
            if now < self._again_at:
                return False
            self._again_at = now + self.retry
            return True

    def failed(self, error: Exception) -> None:
        """Open, or stay open for another while."""
        with self._lock:
            now = time.monotonic()
            if not self.opened_at:
                self.opened_at = now
                log.warning("The store of the limits is away; deciding locally. %s", error)
            self.reason, self._again_at = str(error), now + self.retry

    def worked(self) -> None:
        """Close."""
        if self.opened_at:
            with self._lock:
                away, self.opened_at, self.reason = time.monotonic() - self.opened_at, 0.0, ""
            log.warning("The store of the limits answers again after %.1f s.", away)


class FailoverStore(Store):
    """`workers` is how many processes share the limits: alone, each admits its share of them."""

    def __init__(self, primary: Store, local: Store, *, workers: int = 1, retry: float = 1.0) -> None:
        self.primary, self.local, self.workers = primary, local, max(1, workers)
        self.breaker = Breaker(retry)

    def status(self) -> dict[str, Any]:
        """For health pages: `closed` is well; `open` since how many seconds and why."""
        if not self.breaker.is_open:
            return {"state": "closed"}
        since = round(time.monotonic() - self.breaker.opened_at, 1)
        return {"state": "open", "seconds": since, "reason": self.breaker.reason}

    def decide(self, verb: Verb, lines: Sequence[Line], *, now: int = 0, beside: tuple[str, ...] = ()) -> Answer:
        """See Store; an answer from local memory is marked `degraded`."""
        if self.breaker.is_open:
            return self._ask(
                lambda store: store.decide(verb, lines, now=now, beside=beside), lambda: self._alone(verb, lines, now)
            )
        try:
            return self.primary.decide(verb, lines, now=now, beside=beside)
        except StoreError as error:
            self.breaker.failed(error)
            return self._alone(verb, lines, now)

    def decide_each(self, askings: Sequence[Asking]) -> list[Answer]:
        """See Store; while the store is away each is decided as `decide` would."""
        if not self.breaker.is_open:
            try:
                return self.primary.decide_each(askings)
            except StoreError as error:
                self.breaker.failed(error)
        return super().decide_each(askings)

    def _alone(self, verb: Verb, lines: Sequence[Line], now: int) -> Answer:
        shares = [share_of(line, self.workers) for line in lines]
        shut = next((i for i, line in enumerate(lines, 1) if line.closed and line.enforce), 0)
        if shut and verb in {Verb.TAKE, Verb.TEST}:
            # Nothing is charged: a guard that cannot be asked refuses.
            answer = self.local.decide(Verb.TEST, shares, now=now)
            outcomes = [
                Outcome(1, outcome.level, max(CLOSED_WAIT, outcome.wait), outcome.reset) if line.closed else outcome
                for line, outcome in zip(lines, answer.outcomes, strict=True)
            ]
            return Answer(shut, answer.now, tuple(outcomes), degraded=True)
        return self.local.decide(verb, shares, now=now)._replace(degraded=True)

    def ban(self, key: str, length: int) -> bool:
        """See Store; a ban that begins while the store is away is this process's until it is back."""
        return self._ask(lambda store: store.ban(key, length), lambda: self.local.ban(key, length))

    def banned_for(self, key: str) -> int:
        """See Store."""
        return self._ask(lambda store: store.banned_for(key), lambda: self.local.banned_for(key))

    def forget(self, keys: Sequence[str]) -> int:
        """See Store; local memory forgets as well."""
        here = self.local.forget(keys)
        return self._ask(lambda store: store.forget(keys), lambda: here)

    def keys_of(self, subject: str) -> list[str]:
        """See Store."""
        return self._ask(lambda store: store.keys_of(subject), lambda: self.local.keys_of(subject))

    def level(self, key: str, value: int) -> None:
        """See Store."""
        self._ask(lambda store: store.level(key, value), lambda: self.local.level(key, value))

    def seed(self, key: str, value: int) -> bool:
        """See Store; not while the store is away: storage is not limited then."""
        return self._ask(lambda store: store.seed(key, value), lambda: False)

    def read_version(self) -> str | None:
        """See Store; None while the store is away: the database knows."""
        return self._ask(lambda store: store.read_version(), lambda: None)

    def publish_version(self, version: str) -> None:
        """See Store; lost while the store is away, when the database is read instead."""
        self._ask(lambda store: store.publish_version(version), lambda: None)

    def once(self, key: str, seconds: int) -> bool:
        """See Store."""
        return self._ask(lambda store: store.once(key, seconds), lambda: self.local.once(key, seconds))

    def count(self, name: str, more: int) -> int:
        """See Store."""
        return self._ask(lambda store: store.count(name, more), lambda: self.local.count(name, more))

    def counted(self, name: str) -> int:
        """See Store."""
        return self._ask(lambda store: store.counted(name), lambda: self.local.counted(name))

    def _ask(self, work: Callable[[Store], T], alone: Callable[[], T]) -> T:
        if not self.breaker.may_ask():
            return alone()
        try:
            found = work(self.primary)
        except StoreError as error:
            self.breaker.failed(error)
            return alone()
        self.breaker.worked()
        return found


def share_of(line: Line, workers: int) -> Line:
    """The part of a limit that one of `workers` processes may admit alone; at least what one request costs."""
    if line.kind == "g":
        cost = line.cost * workers
        return line._replace(cost=cost, limit=max(line.limit, cost))
    if line.kind in {"f", "c", "s", "l", "n"}:
        return line._replace(limit=max(min(line.cost, line.limit), line.limit // workers))
    # What is stored cannot be known here, and refusing an upload for it would be a guess.
    return line._replace(enforce=0) if line.kind == "b" else line
