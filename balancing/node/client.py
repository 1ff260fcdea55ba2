"""Talks to a mirror node, by `http.client`: nothing that a project would have to install."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from balancing.backends import BLOCK, Backend, Blocks, Condition, NodeError, Page
from balancing.node.patience import GRACE, LEAST_PACE, deadline
from balancing.node.reading import begin, connect, failure, refusal
from balancing.node.store import PROBE
from balancing.signing import Keyring, expiry, sign

LIFE = 300
MOST_ANSWER = 1 << 20  # a page of inventory has about 80 KB
DISK_PACE = 8 << 20
"""Bytes per second at which a node at least syncs or reads again what it has: so long may its answer take."""


class NodeClient(Backend):
    """One node at `url` (http or https, with a path where it has one); clients reach it at `public_url`.

    Every call opens its own connection. `timeout` bounds each wait in seconds; the head of an answer may take twice as
    long. Raises ValueError for what is no URL.
    """

    def __init__(
        self,
        url: str,
        ring: Keyring,
        *,
        public_url: str = "",
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for each in filter(None, (url, public_url)):
            if urlsplit(each).query or urlsplit(each).fragment:
                raise ValueError("A node's URL ends with its path.")
            connect(each, timeout)
        connect(url, timeout)
        self._url, self._public = url.rstrip("/"), (public_url or url).rstrip("/")
        self._path, self._ring = urlsplit(self._url).path, ring
        self._timeout, self._clock = timeout, clock

    def put(self, digest: str, size: int, source: BinaryIO) -> None:
        """Send a file of `size` bytes; on return it is whole, checked and synced on the node.

        An error of the source is raised as it is: it is not the node's.
        """
        self._call("PUT", f"/files/{digest}", body=(source, size), work=size)

    def has(self, digest: str) -> int | None:
        """The size of the node's copy; None where a node, and not just anybody, says that it has none."""
        with self._exchange("HEAD", f"/files/{digest}") as answer:
            if answer.status == 404 and answer.headers.get("Content-Type") == "application/json":
                return None
            if answer.status == 200 and tagged(answer, digest):
                length = answer.headers.get("Content-Length", "")
                if length.isascii() and length.isdigit():
                    return int(length)
            raise NodeError("bad_answer", f"The node answered {answer.status}.")

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Blocks:
        """The bytes from `start` to before `end`."""
        url = self._url + self._signed("GET", f"/files/{digest}")
        return begin(url, start, end, timeout=self._timeout, genuine=lambda answer: tagged(answer, digest))

    def delete(self, digest: str) -> None:
        """Remove a copy; one that is absent is no error."""
        self._call("DELETE", f"/files/{digest}")

    def inventory(self, after: str = "", limit: int = 1000) -> Page:
        """One page of what the node has."""
        found = self._call("GET", f"/inventory?{urlencode({'after': after, 'limit': limit})}")
        try:
            return Page(tuple((str(digest), int(size)) for digest, size in found["files"]), found["after"])
        except (KeyError, TypeError, ValueError) as error:
            raise NodeError("bad_answer", "The node's inventory makes no sense.") from error

    def scrub(self, digest: str) -> bool:
        """Let the node read a copy again; False where it was damaged and is removed."""
        size = self.has(digest)
        if size is None:
            raise NodeError("not_found", "The node has no such file.")
        return self._call("POST", f"/scrub?sha256={digest}", work=size).get("intact") is True

    def condition(self) -> Condition:
        """Ask how the node is, and fetch its probe as a file is fetched: signed, from its disk, through its nginx."""
        with self._exchange("GET", "/probe") as answer:
            if answer.status != 200:
                raise refusal(answer)
            if answer.read(len(PROBE) + 1) != PROBE:
                raise NodeError("bad_answer", "What answers does not send a mirror node's probe.")
        found = self._call("GET", "/health")
        try:
            return Condition(int(found["free"]), float(found["load"]), int(found["in_flight"]))
        except (KeyError, TypeError, ValueError) as error:
            raise NodeError("bad_answer", "What answers is not a mirror node.") from error

    def url(self, digest: str, now: float, life: int) -> str:
        """A signed URL for GET and HEAD at the node's public address."""
        return self._public + sign("GET", f"/files/{digest}", self._ring, expiry(now, life))

    def _signed(self, method: str, target: str) -> str:
        return sign(method, target, self._ring, expiry(self._clock(), LIFE))

    def _call(
        self, method: str, target: str, body: tuple[BinaryIO, int] | None = None, work: int = 0
    ) -> dict[str, Any]:
        with self._exchange(method, target, body, work) as answer:
            if answer.status >= 300:
                raise refusal(answer)
            text = answer.read(MOST_ANSWER)
        try:
            found = json.loads(text) if text else {}
        except ValueError as error:
            raise NodeError("bad_answer", f"What answered {answer.status} is not a mirror node.") from error
        if not isinstance(found, dict):
            raise NodeError("bad_answer", f"What answered {answer.status} is not a mirror node.")
        return found

    @contextmanager
    def _exchange(
        self, method: str, target: str, body: tuple[BinaryIO, int] | None = None, work: int = 0
    ) -> Iterator[HTTPResponse]:
        """One request; `work` is the bytes that the node must sync or read before it can answer."""
        connection = connect(self._url, self._timeout)
        silence = self._timeout + work / DISK_PACE
        sending = GRACE + body[1] / LEAST_PACE if body else 0
        try:
            with deadline(connection, self._timeout + silence + sending):
                connection.putrequest(method, self._path + self._signed(method, target))
                connection.putheader("Content-Length", str(body[1] if body else 0))
                connection.endheaders()
                if body:
                    _send(connection, *body)
                connection.sock.settimeout(silence)
                yield connection.getresponse()
        except _SourceFailed as error:
            raise error.reason from None
        except (OSError, HTTPException) as error:
            raise failure(error) from error
        finally:
            connection.close()


def tagged(answer: HTTPResponse, digest: str) -> bool:
    """Whether an answer says that it is this file's; a proxy between may have made the tag a weak one.

    It is not where it was meant for an nginx that is not there.
    """
    same = answer.headers.get("ETag", "").removeprefix("W/") == f'"{digest}"'
    return same and "X-Accel-Redirect" not in answer.headers


class _SourceFailed(Exception):
    """Keeps an error of the source apart from one of the connection, which can be of the same class."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _send(connection: HTTPConnection, source: BinaryIO, size: int) -> None:
    """Send the body; a node that refuses early may stop listening, and its answer is then read all the same."""
    left = size
    try:
        while left and (block := _read(source, min(BLOCK, left))):
            connection.send(block)
            left -= len(block)
    except (BrokenPipeError, ConnectionResetError):
        return
    if left:
        raise NodeError("incomplete", f"The source ended {left} bytes before the size that was given.")


def _read(source: BinaryIO, size: int) -> bytes:
    try:
        return source.read(size)
    except OSError as error:
        raise _SourceFailed(error) from error
