"""Byte ranges (RFC 9110 section 14). Pure. One range is answered; anything else is answered with the whole file."""

import re

ONE_RANGE = re.compile(
    r"bytes=(?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{0,18})|-(?P<suffix>[0-9]{1,18}))", re.IGNORECASE
)


class NotSatisfiable(Exception):
    """The range lies behind the end of the file."""


def requested(field: str | None, size: int) -> tuple[int, int] | None:
    """Offset and length of the part that a Range field asks of `size` bytes; None for all. Raises NotSatisfiable."""
    found = ONE_RANGE.fullmatch((field or "").strip())
    if found is None:
        return None
    if found["suffix"] is not None:
        length = min(int(found["suffix"]), size)
        if not length:
            raise NotSatisfiable
        return size - length, length
    first, last = int(found["first"]), int(found["last"] or size)
    if found["last"] and last < first:
        return None
    if first >= size:
        raise NotSatisfiable
    return first, min(last, size - 1) - first + 1
