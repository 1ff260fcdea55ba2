"""Limits for plain Django views: `@limit("10/second; 100/minute")`, or the plan's with `@limit(scope="export")`."""

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from throttling import callers, onrequest, responses, take
from throttling.decision import Decision
from throttling.lines import Costs
from throttling.rates import Limit, Mode, Per, parse_many
from throttling.subjects import Caller, safe

View = Callable[..., Any]


def limit(  # noqa: PLR0913 - each is one thing that a view may decide
    rates: str = "",
    *,
    scope: str = "view",
    name: str = "",
    key: Callable[[HttpRequest], str] | None = None,
    cost: int | Callable[[HttpRequest], int] = 1,
    methods: Collection[str] = (),
    per: Per = Per.CALLER,
    shadow: bool = False,
    exempt_when: Callable[[HttpRequest], bool] | None = None,
    deduct_when: Callable[[Any], bool] | None = None,
    on_breach: Callable[[HttpRequest, Decision], HttpResponse | None] | None = None,
    most_wait: int | None = None,
) -> Callable[[View], View]:
    """Limit a view.

    `rates`: one or several limits; empty: the caller's plan in `scope`. `name`: views with the same name share their
    buckets; empty: the view's own. `key`: what is counted instead of the caller; an empty answer is not counted.
    `cost`: a number or a function of the request. `deduct_when`: the response decides whether the request is charged.
    `on_breach`: makes the answer of a refusal, or None for the usual one. `most_wait`: the longest Retry-After, in
    seconds. Raises RateError at once for rates that cannot be read.
    """
    parsed = parse_many(rates) if rates else ()

    def decorate(view: View) -> View:
        own = safe(name or f"{view.__module__}.{view.__qualname__}")
        short = (name or view.__name__).replace("_", "-").lower()
        mode = Mode.SHADOW if shadow else Mode.ENFORCE
        limits = tuple(
            Limit(name=short if not i else f"{short}-{i}", rate=rate, per=per, mode=mode, ident=f"v.{own}.{i}")
            for i, rate in enumerate(parsed)
        )

        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if (methods and request.method not in methods) or (exempt_when and exempt_when(request)):
                return view(request, *args, **kwargs)
            caller = _caller(request, key)
            if caller is None:
                return view(request, *args, **kwargs)
            costs = Costs(requests=cost(request) if callable(cost) else cost)
            decision = onrequest.decide(
                request, caller, scope, costs, limits or None, by_response=deduct_when is not None
            )
            if not decision.allowed:
                told = on_breach(request, decision) if on_breach else None
                return told or responses.refusal(decision, request.method or "GET", most=most_wait)
            response = view(request, *args, **kwargs)
            if deduct_when and deduct_when(response):
                take.charge(decision)
            return responses.decorate(response, decision)

        return limited

    return decorate


def _caller(request: HttpRequest, key: Callable[[HttpRequest], str] | None) -> Caller | None:
    if key is None:
        return callers.caller_for(request)
    text = key(request)
    return Caller(token=f"key={safe(text)}") if text else None
