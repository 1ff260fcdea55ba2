"""Errors of the REST API as RFC 9457 problem details; apart from `answers`, which must not load REST framework."""

from typing import Any

from django.http import Http404, HttpResponse
from rest_framework import exceptions as rest
from rest_framework.response import Response
from rest_framework.views import exception_handler

from pkgindex.answers import problem, problem_body
from pkgindex.errors import NotFound, ServiceError

# DRF's codes that mean the same as one of ours.
SAME = {
    "not_authenticated": "authentication_required",
    "authentication_failed": "invalid_credentials",
    "permission_denied": "forbidden",
}


def rest_exception_handler(exc: Exception, context: dict[str, Any]) -> Response | HttpResponse | None:
    """DRF's hook: our errors and its own, all as problem details; what nobody foresaw stays an exception."""
    if isinstance(exc, ServiceError):
        return problem(exc)
    if isinstance(exc, Http404):
        return problem(NotFound("There is no such thing here."))
    response = exception_handler(exc, context)
    if response is None:
        return None
    given = getattr(exc, "default_code", "forbidden")
    more = {"errors": exc.detail} if isinstance(exc, rest.ValidationError) else {}
    detail = "The request is not valid; `errors` says where." if more else str(getattr(exc, "detail", exc))
    response.data = problem_body(SAME.get(given, given), response.status_code, detail, **more)
    response.content_type = "application/problem+json"
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response
