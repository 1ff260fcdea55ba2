"""Throttles for Django REST framework, under the names of its own: change the import and keep the settings.

Different from DRF's: one atomic call instead of read and write, several throttles of a view all or none, rates that
can be changed in the database while running, an identity that a header cannot forge, RateLimit fields (with
`throttling.middleware.RateLimitHeaders`), and Retry-After always when waiting helps.
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from throttling import callers, headers, onrequest, plans
from throttling.decision import Decision
from throttling.lines import Costs
from throttling.models import DRF_PLAN
from throttling.rates import Limit, parse_many
from throttling.responses import READS
from throttling.subjects import Caller

PLAN = DRF_PLAN  # its limits, by scope, replace DEFAULT_THROTTLE_RATES


class PlanThrottle(BaseThrottle):
    """Limits the caller by their plan. A view may set `throttle_scope` and `throttle_cost` (a number, or a method)."""

    scope = "api"
    decision: Decision | None = None

    def allow_request(self, request: Any, view: Any) -> bool:
        """DRF's question."""
        scope = self.scope_of(view)
        if not scope:
            return True
        limits = self.limits(scope)
        caller = self.caller(request)
        if caller is None or limits == ():
            return True
        self.method = request.method
        self.decision = onrequest.decide(request, caller, scope, Costs(requests=self.cost(request, view)), limits)
        return self.decision.allowed

    def wait(self) -> float | None:
        """DRF's second question: seconds until the request would pass."""
        if self.decision is None or self.decision.allowed:
            return None
        return headers.retry_after(self.decision, jitter=self.method in READS)

    def scope_of(self, view: Any) -> str:
        """The word by which limits know the view."""
        return str(getattr(view, "throttle_scope", None) or self.scope)

    def limits(self, scope: str) -> tuple[Limit, ...] | None:  # noqa: ARG002 - for subclasses
        """The limits instead of the caller's plan; None for the plan."""
        return None

    def caller(self, request: Any) -> Caller | None:
        """Who is asking; None for somebody this throttle has no say in."""
        return callers.caller_for(request)

    def cost(self, request: Any, view: Any) -> int:
        """How many requests this one counts for."""
        cost = getattr(view, "throttle_cost", 1)
        return int(cost(request) if callable(cost) else cost)


class SimpleRateThrottle(PlanThrottle):
    """A rate by scope: from the plan `drf` in the database, else `rate`, else DEFAULT_THROTTLE_RATES."""

    rate: str | None = None
    scope = ""

    def scope_of(self, view: Any) -> str:  # noqa: ARG002 - DRF's classes have one scope each
        """The class's own."""
        return self.scope

    def limits(self, scope: str) -> tuple[Limit, ...]:
        """Raises ImproperlyConfigured where no rate is set anywhere, as DRF does."""
        named = tuple(limit for limit in plans.current().plans.get(PLAN, ()) if scope in limit.scopes)
        if named:
            return named
        rates = api_settings.DEFAULT_THROTTLE_RATES
        text = self.rate or rates.get(scope)
        if text is None and not self.rate and scope not in rates:
            raise ImproperlyConfigured(f"No rate is set for the throttle scope {scope!r}.")
        return tuple(
            Limit(name=scope if not i else f"{scope}-{i}", rate=rate, ident=f"drf.{scope}.{i}")
            for i, rate in enumerate(parse_many(str(text)) if text else ())
        )


class AnonRateThrottle(SimpleRateThrottle):
    """Callers who have not said who they are, by address (IPv6 by /64)."""

    scope = "anon"

    def caller(self, request: Any) -> Caller | None:
        """None for those who have."""
        caller = callers.caller_for(request)
        return None if caller.known else caller


class UserRateThrottle(SimpleRateThrottle):
    """Every caller, by user and else by address."""

    scope = "user"


class ScopedRateThrottle(SimpleRateThrottle):
    """Views that set `throttle_scope`, each scope counted by itself."""

    def scope_of(self, view: Any) -> str:
        """The view's; a view without one is not limited."""
        return str(getattr(view, "throttle_scope", "") or "")


def refund(request: Any) -> None:
    """Give back what the request was charged."""
    onrequest.refund(request)
