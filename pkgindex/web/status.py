"""The page that says how the mirror nodes are: for everybody who uses the index, without addresses and errors."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from balancing.status import status
from pkgindex.accounts.identity import caller
from pkgindex.web.answer import for_people


@require_safe
@for_people
def nodes(request: HttpRequest) -> HttpResponseBase:
    """Each node with its health and how many copies it lacks; the same as JSON for who asks for that."""
    found = status()
    if "application/json" in request.META.get("HTTP_ACCEPT", ""):
        answer: HttpResponse = JsonResponse(found)
    else:
        answer = render(request, "web/status.html", {"who": caller(request), **found})
    return answer
