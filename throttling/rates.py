"""Rates and limits as values, and the text they are written in. Pure: no Django, no clock, no store.

All times are integer microseconds; all amounts are integers of the limit's unit.
"""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

SECOND = 1_000_000
PERIODS = {
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": 3_600 * SECOND,
    "day": 86_400 * SECOND,
    "week": 7 * 86_400 * SECOND,
    "month": 30 * 86_400 * SECOND,
    "year": 360 * 86_400 * SECOND,
}
SHORT = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "hr": "hour", "d": "day"}
SIZES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
CALENDAR_PERIODS = frozenset({0, PERIODS["hour"], PERIODS["day"]})  # 0: a month
MOST_QUOTA = 10**15
MOST_PERIOD = 366 * 86_400 * SECOND
MOST_DELAY = 10 * SECOND  # installers stop waiting for a first byte after 15 s
COARSE = 1_000  # microseconds per unit from which on the interval is a whole number of them
MOST_LOG = 10_000  # an exact log keeps one entry per admission
EXACT = 1 << 52  # integers below stay exact in Lua's doubles, sums included


class RateError(ValueError):
    """The text or the numbers do not describe a limit; the message says why."""


class Unit(StrEnum):
    """What is counted. The values are the `qu` of draft-ietf-httpapi-ratelimit-headers, and `storage-bytes`."""

    REQUESTS = "requests"
    BYTES = "content-bytes"
    CONCURRENT = "concurrent-requests"
    STORAGE = "storage-bytes"


class Strategy(StrEnum):
    """How it is counted. The values are what plans and limit strings say."""

    GCRA = "gcra"  # a rate with a burst; one number per subject
    FIXED = "fixed"  # a window that opens with the first hit
    SLIDING = "sliding"  # two counters, weighted
    LOG = "log"  # exact: every admission is remembered
    CALENDAR = "calendar"  # a day, hour or month of UTC, with a known reset
    LEASES = "leases"  # things that are going on now
    STOCK = "stock"  # an amount that stays until it is given back


@dataclass(frozen=True, slots=True)
class Rate:
    """`quota` units per `period` microseconds.

    `burst` (GCRA only) is how much passes at once from idle, by default the quota; `max_delay` (GCRA only) is how long
    a caller may be held back instead of being refused. For leases `period` is the life of an unrenewed lease; a
    calendar month has period 0; a stock has no period.
    """

    quota: int
    period: int = SECOND
    unit: Unit = Unit.REQUESTS
    strategy: Strategy = Strategy.GCRA
    burst: int | None = None
    max_delay: int = 0
    # What follows from the others, for every answer again. GCRA's emission interval where whole microseconds are exact
    # enough (0.1 %), 0 for faster rates: it is rounded up, and then every sum of units is a multiple of it, so that a
    # whole bucket passes to the last unit.
    interval: int = field(init=False, repr=False, compare=False)
    tau: int = field(init=False, repr=False, compare=False)  # GCRA's tolerance in us: what a whole bucket is worth

    def __post_init__(self) -> None:
        if self.quota > 0:
            whole = self.period >= COARSE * self.quota
            object.__setattr__(self, "interval", -(-self.period // self.quota) if whole else 0)
            object.__setattr__(self, "tau", self.time_of(self.bucket))
        fault = _fault(self)
        if fault:
            raise RateError(fault)

    @property
    def bucket(self) -> int:
        """How much passes at once from idle."""
        return self.burst if self.burst is not None else self.quota

    def time_of(self, cost: int) -> int:
        """What `cost` units are worth in microseconds, rounded up so that rounding never admits more."""
        return cost * self.interval or -(-cost * self.period // self.quota)

    def units_in(self, time: int) -> int:
        """How many whole units `time` microseconds are worth."""
        return max(0, time) // self.interval if self.interval else max(0, time) * self.quota // self.period

    def __str__(self) -> str:
        return describe(self)


class Mode(StrEnum):
    """Whether a limit refuses, or only counts and logs what it would refuse."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class Per(StrEnum):
    """Whose bucket is charged."""

    CALLER = "caller"  # the user, or the token where the plan hangs on it, or the anonymous address
    USER = "user"
    TOKEN = "token"  # noqa: S105 - the name of a kind of subject
    ADDRESS = "address"
    ASSIGNEE = "assignee"  # one bucket shared by all of the group, network or everyone the plan is assigned to


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate with a name, and what happens over it.

    `scopes` are the registered words it applies to (empty: all). `per_resource` gives each URL its own bucket.
    `ban_for` > 0 bans the subject that long when the limit refuses; `extend` restarts the ban at each new attempt.
    `closed` refuses while the store cannot be asked (guards); otherwise local memory decides. `ident` names the
    bucket in the store: short, because every key carries it.
    """

    name: str
    rate: Rate
    scopes: frozenset[str] = field(default_factory=frozenset)
    per: Per = Per.CALLER
    mode: Mode = Mode.ENFORCE
    ban_for: int = 0
    extend: bool = True
    per_resource: bool = False
    closed: bool = False
    ident: str = ""

    def __hash__(self) -> int:
        # Equal limits have equal names, and one plan has a name once; all fields would be a dozen for each answer.
        return hash(self.name)

    @property
    def key(self) -> str:
        """The part of the store's key that belongs to this limit."""
        return self.ident or self.name

    def applies(self, scope: str) -> bool:
        """True where the limit counts requests of this scope."""
        return not self.scopes or scope in self.scopes


def _fault(rate: Rate) -> str:
    """Why the numbers describe no limit; empty where they do."""
    strategy, gcra = rate.strategy, rate.strategy is Strategy.GCRA
    calendar = strategy is Strategy.CALENDAR
    checks = (
        (not 0 < rate.quota <= MOST_QUOTA, f"The quota must be from 1 to {MOST_QUOTA:,}."),
        (calendar and rate.period not in CALENDAR_PERIODS, "A calendar quota is per hour, day or month."),
        (
            not calendar and not 0 < rate.period <= MOST_PERIOD,
            "The period must be longer than nothing and at most 366 days.",
        ),
        (rate.burst is not None and not gcra, f"A burst belongs to the gcra strategy, not to {strategy}."),
        (bool(rate.max_delay) and not gcra, f"A delay belongs to the gcra strategy, not to {strategy}."),
        (not 0 <= rate.max_delay <= MOST_DELAY, "A delay is at most 10 s: clients give up on a slower first byte."),
        (
            strategy is Strategy.LOG and rate.quota > MOST_LOG,
            f"An exact log keeps every admission: at most {MOST_LOG:,} per period.",
        ),
        (
            (strategy is Strategy.LEASES) != (rate.unit is Unit.CONCURRENT),
            "Concurrent requests are counted by leases, and only they are.",
        ),
        ((strategy is Strategy.STOCK) != (rate.unit is Unit.STORAGE), "Storage is counted as a stock, and only it is."),
    )
    fault = next((sentence for wrong, sentence in checks if wrong), "")
    if not fault and gcra and (rate.bucket < 1 or rate.tau > EXACT // 4):
        fault = "The burst must be at least 1 and be earned back within decades."
    return fault


_LIMIT = re.compile(
    r"""^\s*(?P<count>[\d_]+)\s*(?P<size>[kmgt]?i?b)?\s*(?:r|requests?|bytes)?\s*(?:/|per\b)\s*
    (?P<multiple>\d+)?\s*(?P<period>[a-z]+?)s?(?P<options>(?:\s+[a-z]+(?:\s*=\s*[\w.]+)?)*)\s*$""",
    re.IGNORECASE | re.VERBOSE,
)
_AMOUNT = re.compile(r"^\s*(?P<count>[\d_]+)\s*(?P<size>[kmgt]?i?b)?\s+(?P<what>concurrent|storage)\s*$", re.IGNORECASE)
_OPTION = re.compile(r"([a-z]+)(?:\s*=\s*([\w.]+))?", re.IGNORECASE)
LEASE_LIFE = 60 * SECOND
NAMES = {str(strategy) for strategy in Strategy}


def parse_many(text: str) -> tuple[Rate, ...]:
    """Several limits joined by `,` `;` or `|`. Raises RateError naming the part that cannot be read."""
    parts = [part for part in re.split(r"[,;|\n]", text) if part.strip()]
    if not parts:
        raise RateError("A limit such as `100/minute` is expected.")
    return tuple(parse(part) for part in parts)


def parse(text: str) -> Rate:
    """One limit: `100/minute`, `10 per 5 minutes`, `10r/s burst=20 nodelay`, `5MB/s burst=50000000`,
    `1000/day calendar`, `20/minute strategy=log`, `600/m burst=1000 delay=2s`, `8 concurrent`, `50GB storage`.

    Options: `burst=N`, `delay=TIME` or nginx's `nodelay`, `strategy=NAME` (or the name alone), and `exact`, which
    halves the burst and the pace so that no period ever sees more than the quota. Raises RateError.
    """  # noqa: D205 - the list of forms is the summary
    amount = _AMOUNT.match(text)
    if amount:
        count = _count(amount)
        if amount["what"].lower() == "storage":
            return Rate(count, SECOND, Unit.STORAGE, Strategy.STOCK)
        return Rate(count, LEASE_LIFE, Unit.CONCURRENT, Strategy.LEASES)
    match = _LIMIT.match(text)
    if not match:
        raise RateError(f"{text.strip()!r} is not a limit such as `100/minute`, `5MB/s` or `8 concurrent`.")
    unit = Unit.BYTES if match["size"] else Unit.REQUESTS
    name = SHORT.get(match["period"].lower(), match["period"].lower())
    if name not in PERIODS:
        raise RateError(f"{match['period']!r} is not a period: second, minute, hour, day, week, month or year.")
    rate = Rate(_count(match), PERIODS[name] * int(match["multiple"] or 1), unit)
    return _with_options(rate, name, match["options"] or "", text)


def _count(match: re.Match[str]) -> int:
    return int(match["count"].replace("_", "")) * SIZES[(match["size"] or "b").lower()]


def _with_options(rate: Rate, period: str, options: str, text: str) -> Rate:
    changes: dict[str, object] = {}
    for key, value in _OPTION.findall(options):
        name = key.lower()
        if name == "strategy" or (name in NAMES and not value):
            changes["strategy"] = _strategy(value or name)
        elif name == "burst" and value.isdigit():
            changes["burst"] = int(value)
        elif name == "delay" and value:
            changes["max_delay"] = parse_time(value)
        elif name == "exact":
            # B + P/T <= N: half of the promise is burst, the other half refills within the period.
            half = rate.quota // 2
            changes |= {"burst": max(1, half), "quota": rate.quota - half}
        elif name != "nodelay":
            raise RateError(f"{name!r} in {text.strip()!r} is not an option of a limit.")
    if changes.get("strategy") is Strategy.CALENDAR and period == "month":
        changes["period"] = 0
    return replace(rate, **changes)  # type: ignore[arg-type] # each key was given its own type above


def _strategy(name: str) -> Strategy:
    try:
        return Strategy(name.lower())
    except ValueError:
        raise RateError(f"{name!r} is not a strategy: {', '.join(Strategy)}.") from None


def parse_time(text: str) -> int:
    """`2s`, `500ms`, `5m`, `1h`, `1d` or plain seconds as microseconds. Raises RateError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)?\s*", str(text))
    if not match:
        raise RateError(f"{text!r} is not a time such as `2s` or `500ms`.")
    scale = {"us": 1, "ms": 1_000, "s": SECOND, "m": 60 * SECOND, "h": 3_600 * SECOND, "d": 86_400 * SECOND}
    return round(float(match[1]) * scale[match[2] or "s"])


def describe(rate: Rate) -> str:
    """The rate in the text that `parse` reads."""
    if rate.strategy is Strategy.LEASES:
        return f"{rate.quota} concurrent"
    if rate.strategy is Strategy.STOCK:
        return f"{rate.quota}B storage"
    count = f"{rate.quota}B" if rate.unit is Unit.BYTES else str(rate.quota)
    words = [f"{count}/{_period_text(rate.period)}"]
    if rate.burst is not None:
        words.append(f"burst={rate.burst}")
    if rate.max_delay:
        words.append(f"delay={_time_text(rate.max_delay)}")
    if rate.strategy is not Strategy.GCRA:
        words.append(str(rate.strategy))
    return " ".join(words)


def _time_text(time: int) -> str:
    name, length = next(pair for pair in (("s", SECOND), ("ms", 1_000), ("us", 1)) if time % pair[1] == 0)
    return f"{time // length}{name}"


def _period_text(period: int) -> str:
    if period == 0:
        return "month"
    for name in ("day", "hour", "minute", "second"):
        if period % PERIODS[name] == 0:
            times = period // PERIODS[name]
            return name if times == 1 else f"{times} {name}s"
    raise RateError("A period is a whole number of seconds.")
