"""What every page for people shares: who is asking, the headers, and how a refusal looks in a browser."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from pkgindex.answers import decorate, plain, status_of
from pkgindex.errors import AuthenticationRequired, InvalidCredentials, ServiceError

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

View = Callable[..., HttpResponseBase]


def for_people(view: View) -> View:
    """Make a view a page: refusals become pages too, and the headers of a private page are set.

    Somebody who must say first who they are is sent to the sign-in page if their client reads HTML (RFC 9110 knows a
    302 for that; a 401 would make the browser ask with a box of its own, which takes no session). Every other client,
    and everyone who sent credentials that are wrong, gets the 401 with its challenge.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except ServiceError as error:
            response = _refuse(request, error)
        return _protect(response)

    return answer


def _refuse(request: HttpRequest, error: ServiceError) -> HttpResponse:
    html = "text/html" in request.META.get("HTTP_ACCEPT", "")
    if isinstance(error, AuthenticationRequired):
        if not html or isinstance(error, InvalidCredentials):
            return plain(error)
        return HttpResponseRedirect(reverse("login") + "?" + urlencode({"next": request.get_full_path()}))
    if not html:
        return plain(error)
    context = {"sentence": error.sentence, "status": status_of(error)}
    return decorate(render(request, "web/refused.html", context, status=status_of(error)), error)


def _protect(response: HttpResponseBase) -> HttpResponseBase:
    response["Content-Security-Policy"] = POLICY
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "no-store" if response.status_code != 200 else "private, no-cache"
    response["Vary"] = "Accept, Authorization, Cookie"
    return response


def base_url(request: HttpRequest) -> str:
    """Where this service is reached, without a slash at the end."""
    return settings.PUBLIC_URL or request.build_absolute_uri(reverse("home")).rstrip("/")
