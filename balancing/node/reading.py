"""Reads a file or a part of it by a signed URL, from a mirror node or a bucket, and believes no answer unseen."""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Self
from urllib.parse import urlsplit

from balancing.backends import BLOCK, Blocks, NodeError, Nothing
from balancing.node.patience import deadline

LEAST_PACE = 8 * 1024
"""Bytes per second below which a node that we have waited for is given up."""
MOST_REFUSAL = 1 << 16
CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})/(?P<size>[0-9]{1,18})")
STATUSES = {404: "not_found", 403: "refused", 416: "range_not_satisfiable"}


def connect(url: str, timeout: float) -> HTTPConnection:
    """A connection to the URL's host, not opened yet. Raises ValueError for what is no http or https URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"A node's URL begins with http:// or https:// and names a host; {url!r} does not.")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname, parts.port, timeout=timeout)


def failure(error: Exception) -> NodeError:
    """What became of an exchange, from the exception of a socket or of `http.client`."""
    if isinstance(error, TimeoutError):
        return NodeError("too_slow", "The node said nothing for too long.")
    return NodeError("unreachable", f"The connection to the node failed: {str(error) or type(error).__name__}")


class Reading:
    """Blocks of `length` bytes from an open answer. It measures the time that it waits for the node, and no other."""

    def __init__(self, connection: HTTPConnection, answer: HTTPResponse, length: int, timeout: float) -> None:
        self._connection, self._answer = connection, answer
        self._length = self._left = length
        self._timeout, self._waited = timeout, 0.0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if not self._left:
            self.close()
            raise StopIteration
        try:
            return self._block()
        except NodeError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()
        self._connection.close()

    def _block(self) -> bytes:
        began = time.monotonic()
        try:
            block = self._answer.read1(min(BLOCK, self._left))  # one read of the socket: a drip must come to light
        except (OSError, HTTPException, ValueError) as error:
            raise failure(error) from error
        self._waited += time.monotonic() - began
        if not block:
            raise NodeError("incomplete", f"The node stopped {self._left} bytes before the end.")
        self._left -= len(block)
        arrived = self._length - self._left
        if self._left and self._waited > self._timeout and arrived < self._waited * LEAST_PACE:
            raise NodeError("too_slow", f"The node sent {arrived} bytes in {self._waited:.0f} seconds.")
        return block


def begin(url: str, start: int, end: int | None, *, timeout: float, genuine: Callable[[HTTPResponse], bool]) -> Blocks:
    """Ask for the bytes from `start` to before `end`; `genuine` says whether an answer's head is that of the file.

    Raises NodeError unless what answers announces exactly these bytes, and ValueError for a range that is none.
    """
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"Bytes {start} to {end} are no part of a file.")
    if start == end:
        return Nothing()
    part = start > 0 or end is not None
    connection = connect(url, timeout)
    try:
        fields = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if part else {}
        answer = _ask(connection, url, fields, 2 * timeout)
        length = _announced(answer, part=part)
        if not genuine(answer):
            raise _senseless(answer)
        if part:
            _check_range(answer, start, end)
        return Reading(connection, answer, length, timeout)
    except (OSError, HTTPException) as error:
        connection.close()
        raise failure(error) from error
    except NodeError:
        connection.close()
        raise


def refusal(answer: HTTPResponse) -> NodeError:
    """What an answer of 300 and more means: the node's own code and sentence where there is one."""
    found: object = None
    with suppress(OSError, HTTPException, ValueError):
        found = json.loads(answer.read(MOST_REFUSAL))
    if isinstance(found, dict) and isinstance(found.get("code"), str):
        return NodeError(found["code"][:40], str(found.get("detail", ""))[:300])
    return NodeError(STATUSES.get(answer.status, "bad_answer"), f"The node answered {answer.status}.")


def _ask(connection: HTTPConnection, url: str, fields: dict[str, str], seconds: float) -> HTTPResponse:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    with deadline(connection, seconds):
        connection.request("GET", target, headers=fields)
        return connection.getresponse()


def _announced(answer: HTTPResponse, *, part: bool) -> int:
    """The bytes that an answer of the right status will have."""
    if answer.status not in {200, 206}:
        raise refusal(answer)
    if answer.status != (206 if part else 200) or answer.length is None:
        raise _senseless(answer)
    return answer.length


def _senseless(answer: HTTPResponse) -> NodeError:
    return NodeError("bad_answer", f"What answered {answer.status} does not send the file that was asked for.")


def _check_range(answer: HTTPResponse, start: int, end: int | None) -> None:
    found = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None or int(found["first"]) != start:
        raise NodeError("bad_answer", "The node sends another part of the file than was asked for.")
    behind, size = int(found["last"]) + 1, int(found["size"])
    if behind < (size if end is None else end):
        raise NodeError("incomplete", f"The node's copy has {size} bytes and should have more.")
    if behind > size or (end is not None and behind > end) or answer.length != behind - start:
        raise NodeError("bad_answer", "The node sends another part of the file than was asked for.")
