"""Ready pages in Redis: one hash a page, whose layout `pkgindex.simple.pagecache` documents."""

from collections.abc import Mapping, Sequence
from typing import Any

from pkgindex import shared
from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.shelves.base import KEEP_SECONDS, Item, Shelf


class RedisShelf(Shelf):
    """The Redis that the processes share anyway; one round trip for each call."""

    def get(self, page: str, encoding: Encoding) -> Item | None:
        """The fields of the hash."""
        found = shared.attempt(lambda redis: redis.execute_command(*self.words(page, encoding)), None)
        return self.item(found) if found else None

    def words(self, page: str, encoding: Encoding) -> tuple[str, ...]:
        """Reads one coding and what is said of it."""
        return "HMGET", page, "version", "serial", "etag", encoding.value

    def item(self, raw: Sequence[bytes | None]) -> Item | None:
        """Nothing where a field is not there: the page is, but not in that coding."""
        version, serial, etag, body = raw
        if version is None or serial is None or etag is None or body is None:
            return None
        return Item(int(version), int(serial), etag.decode(), body)

    def may_have(self, page: str, version: int) -> bool:
        """Compares the version alone, without the bytes."""
        built = shared.attempt(lambda redis: redis.hget(page, "version"), None)
        return bool(built) and int(built) >= version

    def put(self, page: str, version: int, serial: int, etag: str, bodies: Mapping[Encoding, bytes]) -> None:
        """The whole hash at once."""
        fields: dict[str, Any] = {"version": version, "serial": serial, "etag": etag}
        fields |= {encoding.value: body for encoding, body in bodies.items()}

        def store(redis: Any) -> None:
            pipeline = redis.pipeline(transaction=True)
            pipeline.delete(page)
            pipeline.hset(page, mapping=fields)
            pipeline.expire(page, KEEP_SECONDS)
            pipeline.execute()

        shared.attempt(store, None)
