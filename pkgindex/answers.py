"""The one table from error codes to HTTP statuses, and the shapes in which an error is answered."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from pkgindex.errors import AuthenticationRequired, ServiceError

# A code that is not here is the caller's mistake: 400.
STATUS = {
    "authentication_required": 401,
    "invalid_credentials": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "gone": 410,
    "length_required": 411,
    "too_large": 413,
    "range_not_satisfiable": 416,
    "too_many_requests": 429,
    "unavailable": 503,
}
REASON_LIMIT = 200  # proxies cut a longer reason phrase, some drop the answer


def status_of(error: ServiceError) -> int:
    """The HTTP status for a service's error."""
    return STATUS.get(error.code, 400)


def plain(error: ServiceError) -> HttpResponse:
    """The error as one line of text: what installers and people with curl read."""
    response = HttpResponse(error.sentence + "\n", content_type="text/plain; charset=utf-8", status=status_of(error))
    return decorate(response, error)


def problem(error: ServiceError) -> HttpResponse:
    """The error as RFC 9457 problem details."""
    response = JsonResponse(
        problem_body(error.code, status_of(error), error.sentence),
        content_type="application/problem+json",
        status=status_of(error),
    )
    return decorate(response, error)


def problem_body(code: str, status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Members of RFC 9457 with `about:blank` and our stable code beside them."""
    return {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "code": code,
    } | more


def decorate(response: HttpResponse, error: ServiceError) -> HttpResponse:
    """Add what an error owes besides its text: the challenge of a 401, and no caching."""
    if isinstance(error, AuthenticationRequired):
        response["WWW-Authenticate"] = f'Basic realm="{error.realm}"'
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def reason_phrase(sentence: str) -> str:
    """The sentence as an HTTP/1.1 reason phrase: one line of latin-1, short enough for every proxy."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(sentence.split()))[:REASON_LIMIT]
    return line.encode("latin-1", "replace").decode("latin-1")


def request_wants_json(request: HttpRequest) -> bool:
    """True where an Accept header prefers JSON to text, as uv's and the API's clients' do."""
    accept = request.META.get("HTTP_ACCEPT", "")
    return "json" in accept and not accept.startswith("text/")
