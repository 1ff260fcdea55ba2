"""From the Authorization header to a `Who`: cached, so that most requests ask neither SQL nor Redis.

A revoked token, a deactivated user or a changed role stops being believed within five seconds in every process, by
the life times of NearCache alone; what is forgotten on purpose stops sooner.
"""

import hmac
import logging
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from pkgindex.accounts import tokens, whois
from pkgindex.accounts.credentials import PasswordGiven, TokenGiven, parse
from pkgindex.accounts.models import Token, User
from pkgindex.accounts.passwords import by_password, forget_account
from pkgindex.accounts.refusals import Refusals
from pkgindex.accounts.roles import ANONYMOUS, Who
from pkgindex.audit.record import Actor
from pkgindex.clientip import client_ip
from pkgindex.errors import InvalidCredentials
from pkgindex.nearcache import LOCAL_SECONDS, Missing, NearCache
from pkgindex.prepared import Objects

IDENTIFIED, IN_SESSION = "identified_who", "session_who"  # where a request keeps what was found
USE_NOTED_EVERY = timedelta(minutes=5)

log = logging.getLogger(__name__)

_refused = Refusals(seconds=LOCAL_SECONDS)
_of_digest: Objects[Token] = Objects(lambda digest: Token.objects.filter(digest=digest), "a digest", beside="user")


def identify(request: HttpRequest) -> Who:
    """Who sends this request, by its Authorization header alone; ANONYMOUS without one.

    What is found holds for the request: limits, the door and the delivery all ask. Raises InvalidCredentials with the
    reason: malformed header, unknown, revoked or expired token, wrong password, inactive user.
    """
    held: Who | None = request.__dict__.get(IDENTIFIED)
    if held is None:
        given = parse(request.META.get("HTTP_AUTHORIZATION", ""))
        if given is None:
            held = ANONYMOUS
        else:
            held = _by_token(given) if isinstance(given, TokenGiven) else by_password(request, given)
        request.__dict__[IDENTIFIED] = held
    return held


def sender_at_hand(header: str, missing: Missing) -> Who | None:
    """Who sends this Authorization header, where this process knows without asking anybody.

    None where it does not (which `missing` takes down), and for whatever is no right token: `identify` has the reasons.
    """
    try:
        given, digest = _read(header)
        if given is None:
            return ANONYMOUS
        who = _holders.at_hand(digest, missing) if digest and not _refused.find(digest) else None
        return _checked(who, given) if who is not None and isinstance(given, TokenGiven) else None
    except InvalidCredentials:
        return None


@lru_cache(maxsize=512)
def _read(header: str) -> tuple[TokenGiven | PasswordGiven | None, str]:
    """What the header holds and, of a token, its digest. Raises InvalidCredentials."""
    given = parse(header)
    return given, tokens.digest(given.secret) if isinstance(given, TokenGiven) else ""


def caller(request: HttpRequest) -> Who:
    """Who asks, for addresses that browsers visit too: the Authorization header where there is one, else the session.

    Raises InvalidCredentials.
    """
    if "HTTP_AUTHORIZATION" in request.META or settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return identify(request)
    held: Who | None = request.__dict__.get(IN_SESSION)
    if held is None:
        held = whois.who_of_user(request.user) if isinstance(request.user, User) else ANONYMOUS
        request.__dict__[IN_SESSION] = held
    return held


def actor_of(request: HttpRequest, who: Who) -> Actor:
    """The caller as audit rows name them."""
    return Actor(who.user_id, who.label, client_ip(request))


def forget_tokens(*digests: str) -> None:
    """Called on commit by whoever changes these tokens."""
    _holders.forget(*digests)


def forget_user(user_id: int, username: str) -> None:
    """Called inside the transaction by whoever changes a user's row or roles; forgets when it commits."""
    digests = list(Token.objects.filter(user_id=user_id, revoked_at=None).values_list("digest", flat=True))

    def forget() -> None:
        forget_account(username)
        forget_tokens(*digests)

    transaction.on_commit(forget)


def _by_token(given: TokenGiven) -> Who:
    digest = tokens.digest(given.secret)
    reason = _refused.find(digest)
    who = None if reason else _holders.get(digest)
    if who is None:
        raise InvalidCredentials(reason or _refused.find(digest) or "This token is not known here.")
    return _checked(who, given)


def _checked(who: Who, given: TokenGiven) -> Who:
    if who.expires_at is not None and time.time() >= who.expires_at:
        raise InvalidCredentials(f"This token expired on {datetime.fromtimestamp(who.expires_at, UTC):%Y-%m-%d}.")
    if given.username is not None and not hmac.compare_digest(given.username.encode(), who.username.encode()):
        raise InvalidCredentials("This token is of another user than the username says; __token__ fits every token.")
    return who


def _load(digest: str) -> Who | None:
    token = _of_digest.first(digest)
    if token is None or not hmac.compare_digest(token.digest, digest):
        _refused.add(digest, "This token is not known here.")
    elif token.revoked_at is not None:
        _refused.add(digest, f"This token was revoked on {token.revoked_at:%Y-%m-%d}.")
    elif not token.user.is_active:
        _refused.add(digest, f"The account '{token.user.username}' of this token is not active.")
    else:
        _note_use(token)
        return whois.who_of_user(token.user, token)
    return None


def _note_use(token: Token) -> None:
    now = timezone.now()
    before = now - USE_NOTED_EVERY
    if (token.last_used_at and token.last_used_at > before) or (token.expires_at and token.expires_at <= now):
        return
    unnoted = Q(last_used_at=None) | Q(last_used_at__lte=before)
    try:
        with transaction.atomic():
            Token.objects.filter(unnoted, pk=token.pk).update(last_used_at=now)
    except DatabaseError as error:
        log.warning("the use of token %s could not be noted: %s", token.pk, error)


_holders: NearCache[Who] = NearCache("token", dump=whois.dump, restore=whois.restore, load=_load)
