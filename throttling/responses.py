"""Django answers that tell of limits."""

from typing import Any

from django.http import HttpResponse, JsonResponse

from throttling import conf, headers
from throttling.decision import Decision

READS = frozenset({"GET", "HEAD", "OPTIONS"})


def decorate(response: Any, decision: Decision) -> Any:
    """Add the RateLimit fields to an answer, of Django or of DRF."""
    for name, value in headers.fields(decision).items():
        response[name] = value
    return response


def refusal(decision: Decision, method: str = "GET", *, most: int | None = None) -> HttpResponse:
    """429 as problem details, with Retry-After in whole seconds, jittered on reads."""
    wait = headers.retry_after(decision, jitter=method in READS, most=most)
    body = headers.problem(decision, usage_url=conf.get().usage_url, wait=wait)
    response = JsonResponse(body, status=429, content_type="application/problem+json")
    # pip, poetry and twine show the reason phrase and not the body.
    response.reason_phrase = headers.sentence(decision, wait)
    response["Cache-Control"] = "no-store"
    if wait is not None:
        response["Retry-After"] = str(wait)
    decorate(response, decision)
    return response
