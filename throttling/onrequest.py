"""Decisions about one Django request, kept on it: several throttles on a view are charged as one, all or none."""

from collections.abc import Sequence
from typing import Any

from throttling import delays, take
from throttling.decision import Decision
from throttling.lines import Costs
from throttling.rates import Limit
from throttling.subjects import Caller


def decisions(request: Any) -> list[Decision]:
    """The decisions so far; DRF's request and the Django request inside it share them."""
    inner = getattr(request, "_request", request)
    found: list[Decision] | None = getattr(inner, "throttling_decisions", None)
    if found is None:
        found = inner.throttling_decisions = []
    return found


def decide(
    request: Any,
    caller: Caller,
    scope: str,
    costs: Costs,
    limits: Sequence[Limit] | None = None,
    *,
    by_response: bool = False,
    beside: tuple[str, ...] = (),
) -> Decision:
    """Decide one more throttle of the request and sleep as it says, unless too many sleep already: see `delays`.

    A refusal gives back what earlier throttles of the request charged, and after one nothing more is charged.
    `by_response` only looks: the view charges when it has seen the response. `beside` is as in `take.take`.
    """
    held = decisions(request)
    earlier = [decision for decision in held if decision.allowed]
    if len(earlier) < len(held) or by_response:
        decision = take.look(caller, scope, costs, resource=request.path, limits=limits)
        decision = delays.hold_back(decision, caller, charged=False)
    else:
        decision = take.take(caller, scope, costs, resource=request.path, limits=limits, beside=beside)
        decision = delays.hold_back(decision, caller)
        if not decision.allowed:
            for one in earlier:
                take.refund(one)
            held[:] = [take.restated(one) for one in held]
    held.append(decision)
    return decision


def refund(request: Any) -> None:
    """Give back everything that the request was charged: for a request that turned out to be free."""
    held = decisions(request)
    if all(decision.allowed for decision in held):
        for decision in held:
            take.refund(decision)
    held.clear()
