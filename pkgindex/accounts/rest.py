"""How the REST API learns who is asking, and who may ask at all."""

import json
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from pkgindex.accounts.identity import actor_of, identify
from pkgindex.accounts.models import User
from pkgindex.accounts.permissions import require_operator
from pkgindex.accounts.roles import ANONYMOUS, Who
from pkgindex.accounts.whois import who_of_user
from pkgindex.audit.record import Actor
from pkgindex.errors import AuthenticationRequired, ServiceError

REALM = "pkgindex"
MOST_BYTES = 1 << 20  # of a request's body: the longest thing to send is a list of a group's members


class BodyTooLarge(ServiceError):
    """The body is longer than anything that makes sense here."""

    code = "too_large"


class IdentityAuthentication(BaseAuthentication):
    """The Authorization header, as every other door reads it. `request.auth` is the `Who`; the user's row is lazy."""

    def authenticate(self, request: Request) -> tuple[Any, Who] | None:
        """The caller, None without a header. Raises InvalidCredentials."""
        who = identify(request._request)  # noqa: SLF001 - DRF's documented way to Django's request
        if who.is_anonymous:
            return None
        return SimpleLazyObject(lambda: _row(who)), who

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the base class's signature
        """The challenge of a 401."""
        return f'Basic realm="{REALM}"'


class SessionIdentityAuthentication(SessionAuthentication):
    """The browser session of somebody who signed in, for the page of the API; CSRF tokens are demanded."""

    def authenticate(self, request: Request) -> tuple[Any, Who] | None:
        """The caller, None without a session."""
        found = super().authenticate(request)
        return None if found is None else (found[0], who_of_user(found[0]))


class JSONBody(JSONParser):
    """JSON of bounded size and depth, and text that can be stored."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The value. Raises BodyTooLarge and ParseError."""
        request = (parser_context or {}).get("request")
        if request is not None and int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
            raise BodyTooLarge(f"A body has at most {MOST_BYTES} bytes here.")
        try:
            value = super().parse(stream, media_type, parser_context)
            json.dumps(value, ensure_ascii=False).encode()
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except UnicodeEncodeError:
            raise ParseError("The JSON holds half a surrogate pair, which is no character.") from None
        return value


def who_of(request: Request) -> Who:
    """The caller of an API request; ANONYMOUS for nobody."""
    return request.auth if isinstance(request.auth, Who) else ANONYMOUS


def actor_from(request: Request) -> Actor:
    """The caller of an API request, as audit rows name them."""
    return actor_of(request._request, who_of(request))  # noqa: SLF001 - DRF's documented way to Django's request


class SignedIn(BasePermission):
    """Everybody who said who they are; asks nothing of SQL."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - the base class's signature
        """True, or raises AuthenticationRequired."""
        if who_of(request).is_anonymous:
            raise AuthenticationRequired
        return True


class Operator(BasePermission):
    """Administrators with the scope `admin` and no narrower token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """True, or raises AuthenticationRequired or Forbidden."""
        require_operator(who_of(request), f"use {getattr(view, 'what', 'this')}")
        return True


def _row(who: Who) -> User | AnonymousUser:
    # The row may be gone while the identity is still cached.
    return User.objects.filter(pk=who.user_id or 0).first() or AnonymousUser()
