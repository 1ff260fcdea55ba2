"""What a limited answer says in its header fields and body. Pure: values in, text out.

RateLimit and RateLimit-Policy follow draft-ietf-httpapi-ratelimit-headers-10, written as RFC 9651 structured fields.
"""

import random
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from typing import Any

from throttling.decision import Decision, Result, more_in, nearly_used, remaining
from throttling.lines import Outcome
from throttling.rates import SECOND, Limit, Mode, Strategy, Unit

TYPES = "https://iana.org/assignments/http-problem-types#"
ENFORCE = Mode.ENFORCE
SOON = 3  # seconds: what an installer may be told to wait and still succeed


def seconds(time: int) -> int:
    """Microseconds as whole seconds, rounded up: never too early."""
    return -(-time // SECOND)


def fields(decision: Decision) -> dict[str, str]:
    """RateLimit and RateLimit-Policy of every enforcing limit, and from 80 % of a long quota a warning."""
    policies, states, warnings = [], [], []
    for charge, outcome in zip(decision.charges, decision.answer.outcomes, strict=False):
        limit = charge.limit
        if limit is not None and limit.mode is ENFORCE:
            policies.append(policy(limit, charge.subject))
            states.append(state(limit, outcome))
            if nearly_used(limit.rate, outcome):
                warnings.append(warning(Result(limit, charge.subject, charge.cost, outcome)))
    if not states:
        return {}
    found = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
    if warnings:
        found["X-Quota-Warning"] = "; ".join(warnings)
    return found


@lru_cache(maxsize=16_384)
def policy(limit: Limit, subject: str) -> str:
    """One item of RateLimit-Policy: quota, unit, window and the partition it is counted for.

    A rate with a burst is told as its bucket and the time in which a whole bucket comes back.
    """
    rate = limit.rate
    parts = [f'"{limit.name}"', f"q={rate.bucket}"]
    if rate.unit is not Unit.REQUESTS:
        parts.append(f'qu="{rate.unit}"')
    if rate.strategy is Strategy.GCRA:
        parts.append(f"w={seconds(rate.tau)}")
    elif rate.strategy is Strategy.CALENDAR and rate.period == 0:
        parts.append(f"w={31 * 86_400}")
    elif rate.strategy not in {Strategy.LEASES, Strategy.STOCK}:
        parts.append(f"w={seconds(rate.period)}")
    parts.append(f"pk=:{partition(subject)}:")
    return ";".join(parts)


def state(limit: Limit, outcome: Outcome) -> str:
    """One item of RateLimit: what remains, and when there is more."""
    rate = limit.rate
    left = 0 if outcome.refused else min(remaining(rate, outcome), rate.bucket)
    wait = more_in(rate, outcome)
    return f'"{limit.name}";r={left}' if wait is None else f'"{limit.name}";r={left};t={seconds(wait)}'


def partition(subject: str) -> str:
    """A name of the bucket that tells callers apart without telling who they are."""
    return b64encode(sha256(subject.encode()).digest()[:9]).decode()


def warning(result: Result) -> str:
    """From 80 % on: how much is used, when it resets, and when it will be used up at this pace."""
    text = f"{result.limit.name} {result.used * 100 // result.quota}% used"
    if result.outcome.reset > 0:
        text += f", resets in {seconds(result.outcome.reset)} s"
    window = result.rate.period or 30 * 86_400 * SECOND
    left = result.used_up_in(window)
    return text if left is None else f"{text}, used up in {seconds(left)} s at this pace"


def retry_after(decision: Decision, *, jitter: bool = True, most: int | None = None) -> int | None:
    """Whole seconds for Retry-After: never earlier than the limit allows, spread so that callers do not return at once.

    None where waiting does not help, or where it would take longer than `most` seconds: an installer that is told
    to wait for a day would sleep, and one that is told nothing fails at once with the reason.
    """
    wait = decision.retry_after_us
    if wait is None:
        return None
    least = max(1, seconds(wait))
    if most is not None and least > most:
        return None
    if not jitter:
        return least
    return random.randint(least, max(SOON, least + least // 10))  # noqa: S311 - spreads load, hides nothing


def problem(decision: Decision, *, usage_url: str = "", wait: int | None = None) -> dict[str, Any]:
    """RFC 9457 problem details with the draft's types, naming the violated policies."""
    names = [result.limit.name for result in decision.violated]
    kind = "quota-exceeded"
    if decision.banned_for:
        kind = "abnormal-usage-detected"
    elif decision.degraded and any(charge.line.closed for charge in decision.charges):
        kind = "temporary-reduced-capacity"
    body: dict[str, Any] = {
        "type": TYPES + kind,
        "title": kind.replace("-", " ").capitalize(),
        "status": 429,
        "detail": sentence(decision, wait),
        "violated-policies": names,
    }
    if usage_url:
        body["usage"] = usage_url
    return body


def sentence(decision: Decision, wait: int | None = None) -> str:
    """The refusal for people: which limit, and when to come back."""
    when = f" Try again in {wait} s." if wait is not None else ""
    if decision.banned_for:
        return f"Requests from here are blocked after abnormal use.{when}"
    if not decision.violated:
        return f"This cannot be decided at the moment.{when}"
    worst = max(decision.violated, key=lambda result: result.outcome.wait)
    if decision.retry_after_us is None:
        return f"This costs more than the limit {worst.limit.name} ({worst.rate}) ever allows."
    return f"The limit {worst.limit.name} ({worst.rate}) is reached.{when}"
