"""From the text of an Authorization header to credentials: pure parsing, nothing is looked up here."""

import base64
import binascii
from dataclasses import dataclass, field

from pkgindex.accounts.tokens import is_well_formed
from pkgindex.errors import InvalidCredentials

TOKEN_USER = "__token__"  # noqa: S105 - the username that twine and PyPI agreed on, no secret
NAME_LENGTH = 150  # of the username column


@dataclass(frozen=True, slots=True)
class TokenGiven:
    """A well-formed token; `username` is whose it must be, None where only the token was sent."""

    secret: str = field(repr=False)
    username: str | None = None


@dataclass(frozen=True, slots=True)
class PasswordGiven:
    """A username and something that is not a token."""

    username: str
    password: str = field(repr=False)


def parse(header: str) -> TokenGiven | PasswordGiven | None:
    """The credentials in a header: Basic (RFC 7617), Bearer (RFC 6750) or `token`; None for an empty one.

    Raises InvalidCredentials with a sentence that never repeats what was sent, since that may be a secret.
    """
    scheme, _, value = header.strip().partition(" ")
    if not scheme:
        return None
    kind = scheme.lower()
    if kind in {"bearer", "token"}:
        return _token(value)
    if kind == "basic":
        return _basic(value.strip())
    raise InvalidCredentials("The Authorization header must be of the scheme Basic, Bearer or token.")


def _basic(value: str) -> TokenGiven | PasswordGiven:
    try:
        text = base64.b64decode(value.encode(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidCredentials("The Basic credentials are not base64 of UTF-8 text.") from None
    username, colon, password = text.partition(":")
    if not colon:
        raise InvalidCredentials("The Basic credentials hold no colon between username and password.")
    name = username.strip()
    if name == TOKEN_USER:
        return _token(password)
    if len(name) > NAME_LENGTH or not name.isprintable() or "\0" in password:
        raise InvalidCredentials("The Basic credentials hold a username or password that nobody can have.")
    if is_well_formed(password.strip()):
        return TokenGiven(password.strip(), name)
    return PasswordGiven(username, password)


def _token(value: str) -> TokenGiven:
    secret = value.strip()
    if not is_well_formed(secret):
        raise InvalidCredentials("This is not a token of this index, or it was cut or mistyped.")
    return TokenGiven(secret)
