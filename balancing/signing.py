"""Expiring URLs signed with HMAC-SHA256, and their check. Pure: keys and time are arguments.

A signature covers the node it is meant for, the method (HEAD counts as GET), the path with the rest of its query, the
expiry and the key's id. It is carried in three query parameters, so that a client follows a redirect and knows nothing.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

HOUR = 3600
METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "POST"})
LEAST_KEY = 32  # bytes, the length of the hash: RFC 2104 section 3 discourages less
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")
SIGNED = re.compile(
    r"(?P<target>.+)[?&]expires=(?P<expires>[0-9]{1,12})&key=(?P<key>[A-Za-z0-9._-]{1,40})&signature=(?P<mark>[A-Za-z0-9_-]{43})",
    re.DOTALL,
)


class SignatureError(Exception):
    """The URL does not prove that its holder was sent here; `code` says why, the message says it to people."""

    code = "signature_invalid"


class SignatureMissing(SignatureError):
    """There is no signature of the right form."""

    code = "signature_missing"


class SignatureExpired(SignatureError):
    """It was genuine and its time is over."""

    code = "signature_expired"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one node by id. New URLs are signed with `current`; all keys are accepted, so keys can be rotated.

    Rotation: add the new key on both sides, make it current, remove the old one after the longest life of a URL.
    `audience` is the node's id: a URL for one node is worth nothing at another that shares the keys.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)
    audience: str = ""

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError(f"The current key {self.current!r} is not among the keys.")
        if "\n" in self.audience:
            raise ValueError("A node's id is one line.")
        for ident, key in self.keys.items():
            if not KEY_ID.fullmatch(ident):
                raise ValueError("A key's id has 1 to 40 letters, digits, dots, dashes or underscores.")
            if len(key) < LEAST_KEY:
                raise ValueError(f"Key {ident!r} is shorter than {LEAST_KEY} bytes.")


def expiry(now: float, life: int, step: int = HOUR) -> int:
    """The first multiple of `step` seconds that lies at least `life` seconds ahead.

    Rounding up gives the same file the same URL for a whole step, without which no client's cache would ever hit.
    """
    return -(-int(now + life) // step) * step


def sign(method: str, target: str, ring: Keyring, expires: int) -> str:
    """`target` (path with an optional query) with its signature, good until `expires` (epoch seconds).

    Raises ValueError for a method that is never signed.
    """
    if method not in METHODS:
        raise ValueError(f"{method} requests are not signed.")
    mark = _mark(method, target, ring, expires, ring.current)
    return f"{target}{'&' if '?' in target else '?'}expires={expires}&key={ring.current}&signature={mark}"


def check(method: str, signed: str, ring: Keyring, now: float) -> str:
    """The target that was signed. Raises a SignatureError.

    Everything is compared as it was sent, undecoded: two spellings of a path are two paths here.
    """
    found = SIGNED.fullmatch(signed)
    if found is None or method not in METHODS:
        raise SignatureMissing("The URL carries no signature.")
    target, expires, ident = found["target"], int(found["expires"]), found["key"]
    if ident not in ring.keys:
        raise SignatureError("The URL is signed with an unknown key.")
    if not hmac.compare_digest(_mark(method, target, ring, expires, ident), found["mark"]):
        raise SignatureError("The signature does not belong to this request.")
    if now >= expires:
        raise SignatureExpired("The URL has expired.")
    return target


def _mark(method: str, target: str, ring: Keyring, expires: int, ident: str) -> str:
    verb = "GET" if method == "HEAD" else method
    # A newline cannot occur inside a part, except the target, which stands last: no two requests have one text.
    text = f"balancing-url-1\n{ring.audience}\n{verb}\n{expires}\n{ident}\n{target}"
    made = hmac.digest(ring.keys[ident], text.encode("utf-8", "surrogatepass"), sha256)
    return urlsafe_b64encode(made).rstrip(b"=").decode("ascii")
