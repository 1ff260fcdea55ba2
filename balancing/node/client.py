"""Talks to a mirror node, by `http.client`: nothing that a project would have to install."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from balancing.node.store import Page
from balancing.signing import Keyring, expiry, sign

BLOCK = 1 << 16
LIFE = 300
MOST_ANSWER = 1 << 20  # a page of inventory has about 80 KB


class NodeError(Exception):
    """The node refused or could not be reached; `code` is the node's own, or `unreachable` or `bad_answer`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code

    @property
    def retryable(self) -> bool:
        """True where the same call may succeed later."""
        return self.code in {"unreachable", "bad_answer", "incomplete", "too_slow"}


class NodeClient:
    """One node at `url` (http or https). Every call opens its own connection; `timeout` bounds each wait in seconds."""

    def __init__(
        self, url: str, ring: Keyring, *, timeout: float = 10.0, clock: Callable[[], float] = time.time
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"A node's URL begins with http:// or https:// and names a host; {url!r} does not.")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._ring = parts.hostname, parts.port, ring
        self._timeout, self._clock = timeout, clock

    def put(self, digest: str, size: int, source: BinaryIO) -> None:
        """Send a file of `size` bytes; on return it is whole, checked and synced on the node. Raises NodeError."""
        self._call("PUT", f"/files/{digest}", body=(source, size))

    def has(self, digest: str) -> int | None:
        """The size of the node's file; None where it has none. Raises NodeError."""
        with closing(self._connection()) as connection:
            answer = self._request(connection, "HEAD", f"/files/{digest}")
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise NodeError("bad_answer", f"The node answered {answer.status}.")
            return int(answer.headers["Content-Length"])

    def delete(self, digest: str) -> None:
        """Remove a file; one that is absent is no error. Raises NodeError."""
        self._call("DELETE", f"/files/{digest}")

    def inventory(self, after: str = "", limit: int = 1000) -> Page:
        """One page of what the node has. Raises NodeError."""
        found = self._call("GET", f"/inventory?{urlencode({'after': after, 'limit': limit})}")
        return Page(tuple((digest, size) for digest, size in found["files"]), found["after"])

    def scrub(self, digest: str) -> bool:
        """Let the node read a file again; False where it was damaged and is removed. Raises NodeError."""
        return bool(self._call("POST", f"/scrub?sha256={digest}")["intact"])

    def health(self) -> dict[str, Any]:
        """Free bytes, load and transfers in flight. Raises NodeError."""
        return self._call("GET", "/health")

    def _call(self, method: str, target: str, body: tuple[BinaryIO, int] | None = None) -> dict[str, Any]:
        with closing(self._connection()) as connection:
            answer = self._request(connection, method, target, body)
            try:
                text = answer.read(MOST_ANSWER)
                found = json.loads(text) if text else {}
            except (OSError, HTTPException, ValueError) as error:
                raise NodeError("bad_answer", f"The node's answer makes no sense: {error}") from error
        if not isinstance(found, dict) or (answer.status >= 300 and "code" not in found):
            raise NodeError("bad_answer", f"What answered {answer.status} is not a mirror node.")
        if answer.status >= 300:
            raise NodeError(str(found["code"]), str(found.get("detail", "")))
        return found

    def _request(
        self, connection: HTTPConnection, method: str, target: str, body: tuple[BinaryIO, int] | None = None
    ) -> HTTPResponse:
        url = sign(method, target, self._ring, expiry(self._clock(), LIFE))
        try:
            connection.putrequest(method, url)
            connection.putheader("Content-Length", str(body[1] if body else 0))
            connection.endheaders()
            if body:
                _send(connection, *body)
            return connection.getresponse()
        except (OSError, HTTPException) as error:
            raise NodeError("unreachable", f"The node cannot be reached: {error}") from error

    def _connection(self) -> HTTPConnection:
        return self._kind(self._host, self._port, timeout=self._timeout)


def _send(connection: HTTPConnection, source: BinaryIO, size: int) -> None:
    """Send the body; a node that refuses early may stop listening, and its answer is then read all the same."""
    left = size
    try:
        while left and (block := source.read(min(BLOCK, left))):
            connection.send(block)
            left -= len(block)
    except (BrokenPipeError, ConnectionResetError):
        return
    if left:
        raise NodeError("incomplete", f"The source ended {left} bytes before the size that was given.")
