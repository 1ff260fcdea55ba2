"""Byte ranges (RFC 9110 section 14): which part of a file a request asks for. Imports no Django.

One range is answered, several are answered with the whole file, which the standard allows; so is anything that is
not a range as the standard writes it.
"""

import re
from dataclasses import dataclass

from pkgindex.errors import ServiceError

ONE_RANGE = re.compile(
    r"\A\s*bytes\s*=\s*(?:(?P<first>\d{1,20})-(?P<last>\d{0,20})|-(?P<suffix>\d{1,20}))\s*\Z", re.IGNORECASE | re.ASCII
)


class RangeNotSatisfiable(ServiceError):
    """The range begins behind the end of the file."""

    code = "range_not_satisfiable"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file: `length` bytes from offset `start`."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The Content-Range of this part of `size` bytes."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def requested(field: str | None, size: int) -> Span | None:
    """The part that a Range field asks of a file of `size` bytes; None for all of it, to be answered with 200.

    Raises RangeNotSatisfiable.
    """
    found = ONE_RANGE.match(field or "")
    if found is None:
        return None
    if found["suffix"] is not None:
        return _suffix(int(found["suffix"]), size)
    first = int(found["first"])
    last = min(int(found["last"] or size), size - 1)
    if found["last"] and int(found["last"]) < first:
        return None
    if first >= size:
        raise RangeNotSatisfiable(f"The file has {size} bytes; the range begins behind its end.")
    return Span(first, last - first + 1)


def _suffix(wanted: int, size: int) -> Span | None:
    if wanted == 0:
        raise RangeNotSatisfiable(f"The file has {size} bytes; a range of its last 0 bytes is empty.")
    length = min(wanted, size)
    return Span(size - length, length) if length else None


def still_same(if_range: str | None, etag: str, last_modified: str) -> bool:
    """True where If-Range is absent or names this very file: its strong entity tag, or its exact Last-Modified.

    Where it is False the range is to be ignored (RFC 9110 section 13.1.5).
    """
    return if_range is None or if_range.strip() in {etag, last_modified}
