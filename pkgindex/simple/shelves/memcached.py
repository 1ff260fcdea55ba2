"""Ready pages in Memcached, for whoever keeps Redis small. Versions and locks stay in Redis, which has the atomicity.

Layout, `<key>` being the first 32 hex digits of the SHA-256 of the page's key in Redis, `page:b:…`:

    page:<key>:<coding>               a line of JSON, then the body, or nothing where it is too large for one item
    page:<key>:<coding>:<tag>:<n>     the n-th piece of such a body, from 0

The line has `page`, `version`, `serial`, `etag` (64 hex digits), `digest` (SHA-256 of the body) and `pieces`. It is set
last; a body whose digest is another, because a piece was dropped or is of another version, is not there. Several
servers share the pages by key; one that is away costs its share.
"""

import hashlib
import json
import logging
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pymemcache.client.base import PooledClient
from pymemcache.exceptions import MemcacheError

from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.shelves.base import KEEP_SECONDS, Item, Shelf

T = TypeVar("T")

PIECE = 900_000  # bytes; an item with its key and header must stay below a mebibyte, the server's own default
MOST_PIECES = 64
SECONDS = 0.25  # to connect, and for an answer
RETRY_AFTER = 1.0  # seconds during which a server that just failed is not asked
CONNECTIONS = 64  # of a process to each server

log = logging.getLogger(__name__)


class Server:
    """One Memcached. A failure is remembered for a second, so that a dead one costs a time-out a second."""

    def __init__(self, place: str) -> None:
        host, _, port = place.rpartition(":")
        self.place = place
        self._client = PooledClient(
            (host.strip("[]"), int(port)),
            connect_timeout=SECONDS,
            timeout=SECONDS,
            no_delay=True,
            max_pool_size=CONNECTIONS,
        )
        self._asked_again_at = 0.0

    def attempt(self, work: Callable[[PooledClient], T], default: T) -> T:
        """Run `work`; on any fault of the server log once and answer `default`."""
        now = time.monotonic()
        if now < self._asked_again_at:
            return default
        try:
            return work(self._client)
        # A pool that is used up is a RuntimeError.
        except (MemcacheError, OSError, RuntimeError, ValueError) as error:
            if time.monotonic() >= self._asked_again_at:
                log.warning("Memcached at %s does not answer (%s); going on without it", self.place, error)
            self._asked_again_at = time.monotonic() + RETRY_AFTER
            return default

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._client.close()


class MemcachedShelf(Shelf):
    """One or more servers, each for a share of the pages."""

    def __init__(self, places: Sequence[str]) -> None:
        self._servers = [Server(place) for place in places]

    def get(self, page: str, encoding: Encoding) -> Item | None:
        """One round trip, and a second for what did not fit into one item."""
        server, key = self._at(page, encoding)
        raw = server.attempt(lambda client: client.get(key), None)
        if not raw:
            return None
        line, _, body = bytes(raw).partition(b"\n")
        try:
            facts = json.loads(line)
            item = Item(int(facts["version"]), int(facts["serial"]), str(facts["etag"]), b"")
            digest, pieces, known = str(facts["digest"]), int(facts["pieces"]), facts["page"] == page
        except (ValueError, KeyError, TypeError):
            return None
        if not known or not 0 <= pieces <= MOST_PIECES:
            return None
        if pieces:
            names = [f"{key}:{digest[:32]}:{number}" for number in range(pieces)]
            found: dict[str, bytes] = server.attempt(lambda client: client.get_many(names), {})
            body = b"".join(found.get(name, b"") for name in names)
        if hashlib.sha256(body).hexdigest() != digest:
            return None
        return Item(item.version, item.serial, item.etag, body)

    def may_have(self, page: str, version: int) -> bool:  # noqa: ARG002
        """Perhaps: the version stands beside the bytes."""
        return True

    def put(self, page: str, version: int, serial: int, etag: str, bodies: Mapping[Encoding, bytes]) -> None:
        """The pieces first, then what names them."""
        for encoding, body in bodies.items():
            server, key = self._at(page, encoding)
            digest = hashlib.sha256(body).hexdigest()
            starts = range(0, len(body), PIECE) if len(body) > PIECE else range(0)
            if len(starts) > MOST_PIECES:
                continue
            facts = {"page": page, "version": version, "serial": serial, "etag": etag, "digest": digest}
            line = json.dumps(facts | {"pieces": len(starts)}).encode() + b"\n"
            items = {f"{key}:{digest[:32]}:{n}": body[start : start + PIECE] for n, start in enumerate(starts)}
            items[key] = line if starts else line + body
            server.attempt(_setting(items), None)

    def close(self) -> None:
        """Close the connections to each server."""
        for server in self._servers:
            server.close()

    def _at(self, page: str, encoding: Encoding) -> tuple[Server, str]:
        """The server of a page, and its key there, which has no length and characters that Memcached minds."""
        key = hashlib.sha256(page.encode()).hexdigest()[:32]
        return self._servers[zlib.crc32(key.encode()) % len(self._servers)], f"page:{key}:{encoding.value}"


def _setting(items: Mapping[str, bytes]) -> Callable[[PooledClient], None]:
    def work(client: PooledClient) -> None:
        for name, data in items.items():  # in their order: what names the pieces comes last
            client.set(name, data, expire=KEEP_SECONDS, noreply=False)

    return work
