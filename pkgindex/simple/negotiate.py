"""Which serialisation and which content coding a client gets (RFC 9110 sections 12.4 and 12.5, PEP 691). No Django.

Header fields are what strangers send: anything that cannot be read counts as if it were not there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pkgindex.errors import ServiceError
from pkgindex.simple.serialize import Format

TEXT_HTML = "text/html"
V1_HTML = "application/vnd.pypi.simple.v1+html"
V1_JSON = "application/vnd.pypi.simple.v1+json"
# In the order in which equal preferences are decided, which is the public index's.
OFFERS: Mapping[str, Format] = {TEXT_HTML: Format.HTML, V1_HTML: Format.HTML, V1_JSON: Format.JSON}
LATEST = {
    "application/vnd.pypi.simple.latest+html": V1_HTML,
    "application/vnd.pypi.simple.latest+json": V1_JSON,
}
SIMPLE = "application/vnd.pypi.simple."
QUALITY = re.compile(r"\A(?:\d+(?:\.\d*)?|\.\d+)\Z", re.ASCII)


class NotAcceptable(ServiceError):
    """The client wants only what this index cannot give."""

    code = "not_acceptable"


class Encoding(str, Enum):
    """Content codings that pages exist in; values as HTTP writes them, best first."""

    ZSTD = "zstd"
    GZIP = "gzip"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Preference:
    """One element of an Accept-like field: a lower-case range and its weight from 0 (never) to 1."""

    value: str
    quality: float


def choose_type(accept: str | None, wanted: str | None = None) -> str:
    """The content type to answer with, one of OFFERS.

    `wanted` is the query's `format`, which overrides the Accept field. Raises NotAcceptable where `format` is
    unknown, where the client refuses everything, or where it knows only other versions of the API; a client that
    asks for something else altogether, such as an image, gets HTML.
    """
    if wanted is not None:
        return _by_format(wanted)
    preferences = [_concrete(p) for p in parse(accept or "*/*")] or [Preference("*/*", 1.0)]
    qualities = {offer: _type_quality(offer, preferences) for offer in OFFERS}
    best = max(OFFERS, key=lambda offer: qualities[offer] or 0.0)  # max keeps the first of equals
    if qualities[best]:
        return best
    left = [offer for offer in OFFERS if qualities[offer] is None]
    asked = [p.value for p in preferences if p.quality > 0]
    if not left or (asked and all(value.startswith(SIMPLE) for value in asked)):
        raise NotAcceptable(f"This index serves {', '.join(OFFERS)}, and the Accept field allows none of them.")
    return left[0]


def full_type(content_type: str) -> str:
    """One of OFFERS as the Content-Type field says it."""
    return f"{content_type}; charset=utf-8" if OFFERS[content_type] is Format.HTML else content_type


def choose_encoding(accept: str | None) -> Encoding:
    """The content coding to answer with: the best of zstd, gzip and none that the client accepts.

    A client that names no coding gets none; one that refuses even that gets none too, as RFC 9110 advises.
    """
    qualities = {p.value.replace("x-gzip", "gzip"): p.quality for p in parse(accept or "")}
    fallback = qualities.get("*")
    best, best_quality = Encoding.IDENTITY, 0.0
    for encoding in Encoding:
        quality = qualities.get(encoding.value, fallback)
        if quality is not None and quality > best_quality:
            best, best_quality = encoding, quality
    return best


def parse(field: str) -> list[Preference]:
    """The elements of an Accept-like field. A weight that is no number counts as 1, one above 1 as 1."""
    found = []
    for element in field.split(","):
        value, *parameters = (part.strip() for part in element.split(";"))
        if value:
            found.append(Preference(value.lower(), _quality(parameters)))
    return found


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            text = value.strip()
            return min(float(text), 1.0) if QUALITY.match(text) else 1.0
    return 1.0


def _by_format(wanted: str) -> str:
    # A plus that was not percent-encoded, as in the standard's own example, arrives as a space.
    name = wanted.strip().lower().replace(" ", "+")
    found = LATEST.get(name, name)
    if found not in OFFERS:
        raise NotAcceptable(f"The format asked for is not served here; this index serves {', '.join(OFFERS)}.")
    return found


def _concrete(preference: Preference) -> Preference:
    return Preference(LATEST.get(preference.value, preference.value), preference.quality)


def _type_quality(offer: str, preferences: list[Preference]) -> float | None:
    """The weight by the most specific range that covers the offer; None where no range does."""
    for covering in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        weights = [p.quality for p in preferences if p.value == covering]
        if weights:
            return max(weights)
    return None
