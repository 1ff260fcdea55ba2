"""What was decided about one request, for the code that answers it. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from throttling.lines import NOTHING, Answer, Line, Outcome
from throttling.rates import Limit, Mode, Rate, Strategy, Unit

WARN_AT = 0.8
LONG = 3_600_000_000  # us
GCRA, STORAGE = Strategy.GCRA, Unit.STORAGE  # looking up an enumeration's member costs more than comparing it


class Charge(NamedTuple):
    """One line of a call and the limit it comes from; `limit` is None for the line that looks for a ban."""

    line: Line
    limit: Limit | None
    subject: str
    cost: int = 0


class Result(NamedTuple):
    """How one limit stands after the decision. Times are microseconds."""

    limit: Limit
    subject: str
    cost: int
    outcome: Outcome

    @property
    def rate(self) -> Rate:
        """The limit's rate."""
        return self.limit.rate

    @property
    def refused(self) -> bool:
        """True where this limit refused, or in shadow mode would have."""
        return bool(self.outcome.refused)

    @property
    def quota(self) -> int:
        """How much there is at most: what passes from idle."""
        return self.rate.bucket

    @property
    def remaining(self) -> int:
        """See the function."""
        return remaining(self.limit.rate, self.outcome)

    @property
    def used(self) -> int:
        """See the function."""
        return used(self.limit.rate, self.outcome)

    def used_up_in(self, window: int) -> int | None:
        """Forecast: at the pace of the current window of `window` us, when the quota will be used up; None: not in it.

        Only a calendar quota has a window whose start is known.
        """
        elapsed = window - self.outcome.reset
        if self.rate.strategy is not Strategy.CALENDAR or elapsed <= 0 or self.used == 0:
            return None
        left = self.remaining * elapsed // self.used
        return left if left < self.outcome.reset else None


def remaining(rate: Rate, outcome: Outcome) -> int:
    """How much passes before the limit refuses; 0 means that the next unit is refused."""
    if rate.strategy is GCRA:
        return rate.units_in(rate.tau + rate.max_delay - outcome.level)
    return max(0, rate.quota - outcome.level)


def used(rate: Rate, outcome: Outcome) -> int:
    """How much of the quota is in use."""
    return max(0, rate.bucket - min(remaining(rate, outcome), rate.bucket))


def more_in(rate: Rate, outcome: Outcome) -> int | None:
    """Microseconds until there is more than now; None where waiting does not help."""
    if outcome.refused:
        return outcome.wait if outcome.wait >= 0 else None
    if rate.strategy is GCRA:
        return min(rate.time_of(1), outcome.reset)
    return outcome.reset if outcome.reset >= 0 else None


def nearly_used(rate: Rate, outcome: Outcome) -> bool:
    """True from 80 % on of a quota that people plan with: hours, days, months, bytes kept."""
    long = rate.period == 0 or rate.period >= LONG or rate.unit is STORAGE
    return long and used(rate, outcome) >= WARN_AT * rate.bucket


class Decision(NamedTuple):
    """Whether the request may go on, and everything that its answer should say.

    `free` marks a caller who is exempt, or a request that no limit applies to.
    """

    allowed: bool
    scope: str = ""
    charges: tuple[Charge, ...] = ()
    answer: Answer = NOTHING
    banned_for: int = 0
    lease: str = ""

    @property
    def free(self) -> bool:
        """True where nothing was counted."""
        return not self.charges

    @property
    def counts_bytes(self) -> bool:
        """True where a limit in bytes was charged."""
        return any(charge.limit and charge.limit.rate.unit is Unit.BYTES for charge in self.charges)

    @property
    def degraded(self) -> bool:
        """True where local memory decided because the store is away."""
        return self.answer.degraded

    @property
    def is_smooth(self) -> bool:
        """True where the request may go on at once, and no limit that only watches would have refused it."""
        if not self.allowed:
            return False
        for outcome in self.answer.outcomes:  # noqa: SIM110 - `any` costs several times as much, for every answer
            if outcome.refused or outcome.wait:
                return False
        return True

    @property
    def delay_us(self) -> int:
        """How long the caller should sleep before it goes on: the longest delay of the enforcing limits (nginx)."""
        if not self.allowed:
            return 0
        waits = [outcome.wait for charge, outcome in self._pairs() if charge.line.enforce and not outcome.refused]
        return max(waits, default=0)

    @property
    def retry_after_us(self) -> int | None:
        """Time until the same request would pass every limit; None where waiting does not help."""
        if self.banned_for:
            return self.banned_for
        waits = [outcome.wait for charge, outcome in self._pairs() if charge.line.enforce and outcome.refused]
        return None if min(waits, default=0) < 0 else max(waits, default=0)

    @property
    def results(self) -> tuple[Result, ...]:
        """One result per limit, in the order of the plan."""
        return tuple([
            Result(charge.limit, charge.subject, charge.cost, outcome)
            for charge, outcome in self._pairs()
            if charge.limit is not None
        ])  # fmt: skip

    @property
    def violated(self) -> tuple[Result, ...]:
        """The enforcing limits that refused."""
        return tuple(r for r in self.results if r.refused and r.limit.mode is Mode.ENFORCE)

    @property
    def shadowed(self) -> tuple[Result, ...]:
        """The limits in shadow mode that would have refused."""
        return tuple(r for r in self.results if r.refused and r.limit.mode is Mode.SHADOW)

    def _pairs(self) -> Iterator[tuple[Charge, Outcome]]:
        return zip(self.charges, self.answer.outcomes, strict=False)


FREE = Decision(allowed=True)
