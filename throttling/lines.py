"""One limit of one request, as the store reads it: the arguments of `lua/take.lua`, documented in
docs/reference/limiter-script.md. Pure.
"""  # noqa: D205 - one sentence

from enum import StrEnum
from typing import NamedTuple

from throttling.rates import Limit, Rate, Strategy, Unit

KIND = {
    Strategy.GCRA: "g",
    Strategy.FIXED: "f",
    Strategy.CALENDAR: "c",
    Strategy.SLIDING: "s",
    Strategy.LOG: "l",
    Strategy.LEASES: "n",
    Strategy.STOCK: "b",
}
BAN = "x"
ARGUMENTS = 6  # per limit


class Verb(StrEnum):
    """What to do with the limits of a call."""

    TAKE = "take"  # check all; charge all or none
    TEST = "test"  # check, charge nothing
    CHARGE = "charge"  # charge whatever the check says
    REFUND = "refund"  # give back, and release leases


class Line(NamedTuple):
    """One limit of one request. `cost`, `limit`, `period` and `extra` mean what the kind says.

    | kind | cost | limit | period | extra |
    |---|---|---|---|---|
    | g gcra | cost in us | tau in us | 0 | longest delay in us |
    | f fixed, c calendar, s sliding, l log | units | quota | us (c: 0 is a month) | 0 |
    | n leases | 1 | most at once | life in us | the lease's name |
    | b stock | units | most | 0 | 0 |
    | x ban | 0 | 0 | us to extend by, or 0 | 0 |
    """

    kind: str
    key: str
    enforce: int
    cost: int
    limit: int
    period: int
    extra: int | str
    closed: bool = False


class Outcome(NamedTuple):
    """What the store says about one line.

    `refused` is 1 where this limit alone would refuse; `level` is what is used (GCRA: microseconds of backlog);
    `wait` is the delay of an admission, or the time until the same cost would pass (-1: never by waiting); `reset` is
    the time until the limit is whole again (-1: not by waiting). Times in us.
    """

    refused: int
    level: int
    wait: int
    reset: int


# The values of other keys of the same server, read in the round trip of a decision; None for one that is not there.
Beside = tuple[bytes | None, ...]


class Answer(NamedTuple):
    """What the store says about a call: the first enforcing limit that refused (0: none; 1 is the first), the server's
    time in us, and one outcome per line. `degraded` marks an answer from local memory while the store is away.
    `beside` is None where no other keys were read.
    """  # noqa: D205 - one sentence

    refused_by: int
    now: int
    outcomes: tuple[Outcome, ...]
    degraded: bool = False
    beside: Beside | None = None


NOTHING = Answer(0, 0, ())  # where nothing was asked


class Asking(NamedTuple):
    """One decision of several that a store makes in one round trip: see `Store.decide`."""

    verb: Verb
    lines: tuple[Line, ...]
    beside: tuple[str, ...] = ()


class Costs(NamedTuple):
    """What a request costs in each unit."""

    requests: int = 1
    size: int = 0
    storage: int = 0
    lease: str = ""

    def of(self, unit: Unit) -> int | None:
        """The cost in this unit; None where limits of the unit have no say in this request."""
        if unit is Unit.REQUESTS:
            return self.requests
        if unit is Unit.BYTES:
            return self.size
        if unit is Unit.STORAGE:
            return self.storage or None
        return 1 if self.lease else None


def key_of(limit: Limit, subject: str, resource: str = "") -> str:
    """The store's key: one hash slot per subject, the strategy's letter so that a changed strategy starts afresh."""
    return f"rl:{{{subject}}}:{KIND[limit.rate.strategy]}{limit.key}{':' + resource if resource else ''}"


def ban_key(subject: str) -> str:
    """The key under which a ban of the subject is kept."""
    return f"rl:{{{subject}}}:{BAN}"


def line_for(limit: Limit, subject: str, cost: int, *, resource: str = "", lease: str = "") -> Line:
    """The line that charges `cost` units of a limit to a subject."""
    rate = limit.rate
    where = key_of(limit, subject, resource)
    enforce = int(limit.mode == "enforce")
    if rate.strategy is Strategy.GCRA:
        return Line("g", where, enforce, _time(rate, cost), rate.tau, 0, rate.max_delay, limit.closed)
    extra: int | str = lease if rate.strategy is Strategy.LEASES else 0
    return Line(KIND[rate.strategy], where, enforce, cost, rate.quota, rate.period, extra, limit.closed)


def _time(rate: Rate, cost: int) -> int:
    worth = rate.time_of(cost)
    # A file larger than the whole bucket costs the whole bucket: it could otherwise never be fetched.
    # A cost in requests above the bucket stays above it, and is refused for ever; the cap keeps it exact in Lua.
    return min(worth, rate.tau if rate.unit is Unit.BYTES else rate.tau + rate.max_delay + 1)


def ban_line(subject: str, extend: int = 0) -> Line:
    """The line that refuses while the subject is banned, and extends the ban by `extend` us from now."""
    return Line(BAN, ban_key(subject), 1, 0, 0, extend, 0)
