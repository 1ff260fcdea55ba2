"""Passwords over HTTP Basic: the slow hash is computed once in a while and never once a request.

That a password was proven is remembered for ten minutes together with a fingerprint of the stored hash it was proven
against. The user's row is read again at least every five seconds and must still have that fingerprint, so a changed
password or a deactivated account stops working within five seconds all the same. Neither passwords nor hashes leave
this module: keys and fingerprints are HMACs under SECRET_KEY.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.http import HttpRequest

from pkgindex.accounts import whois
from pkgindex.accounts.credentials import PasswordGiven
from pkgindex.accounts.models import User
from pkgindex.accounts.refusals import Refusals
from pkgindex.accounts.roles import Who
from pkgindex.accounts.singleflight import SingleFlight
from pkgindex.errors import InvalidCredentials
from pkgindex.nearcache import NearCache

PROVEN_SECONDS = 600
REFUSED_SECONDS = 5
WRONG = "The username or password is wrong, or the account is not active."


@dataclass(frozen=True, slots=True)
class Account:
    """An active user's row as a caller, with the fingerprint of its password hash."""

    who: Who
    fingerprint: str


def _dump(account: Account) -> dict[str, Any]:
    return {"who": whois.dump(account.who), "fingerprint": account.fingerprint}


def _restore(data: dict[str, Any]) -> Account:
    return Account(whois.restore(data["who"]), data["fingerprint"])


_accounts: NearCache[Account] = NearCache("account", dump=_dump, restore=_restore)
_proofs: NearCache[str] = NearCache(
    "password", dump=str, restore=str, local_seconds=PROVEN_SECONDS, shared_seconds=PROVEN_SECONDS
)
_refused = Refusals(seconds=REFUSED_SECONDS)
_flights = SingleFlight()


def by_password(request: HttpRequest, given: PasswordGiven) -> Who:
    """The user of that name and password. Raises InvalidCredentials, with the same sentence whatever was wrong."""
    key = _keyed("password", given.username, given.password)
    proof = _proofs.get(key, _nothing) or _prove(request, given, key)
    account = _account(given.username)
    if account is not None and hmac.compare_digest(account.fingerprint, proof):
        return account.who
    # The stored hash is another one by now: a new password, or the same one hashed by newer rules. Judge it again.
    _accounts.forget(_keyed("account", given.username))
    _proofs.forget(key)
    proof = _prove(request, given, key)
    account = _account(given.username)
    if account is not None and hmac.compare_digest(account.fingerprint, proof):
        return account.who
    raise InvalidCredentials(WRONG)


def forget_account(username: str) -> None:
    """Drop what is cached of the user's row, here and in Redis."""
    _accounts.forget(_keyed("account", username))


def _prove(request: HttpRequest, given: PasswordGiven, key: str) -> str:
    with _flights.alone(key):
        if _refused.find(key):
            raise InvalidCredentials(WRONG)
        proof = _proofs.get(key, lambda: _fingerprint_if_right(request, given))
        if proof is None:
            _refused.add(key, WRONG)
            raise InvalidCredentials(WRONG)
        return proof


def _fingerprint_if_right(request: HttpRequest, given: PasswordGiven) -> str | None:
    # Takes as long for a name that nobody has: ModelBackend hashes then as well.
    user = authenticate(request, username=given.username, password=given.password)
    return _fingerprint(user) if isinstance(user, User) else None


def _account(username: str) -> Account | None:
    def load() -> Account | None:
        user = User.objects.filter(username=username, is_active=True).first()
        return Account(whois.who_of_user(user), _fingerprint(user)) if user else None

    return _accounts.get(_keyed("account", username), load)


def _nothing() -> None:
    return None


def _fingerprint(user: User) -> str:
    return _keyed("hash", user.password)


def _keyed(kind: str, *parts: str) -> str:
    key = f"{kind}:{settings.SECRET_KEY}".encode()
    return hmac.new(key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()
