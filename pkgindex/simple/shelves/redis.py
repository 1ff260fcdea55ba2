"""Ready pages in Redis: one hash a page, whose layout `pkgindex.simple.pagecache` documents."""

from collections.abc import Mapping
from typing import Any

from pkgindex import shared
from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.shelves.base import KEEP_SECONDS, Item, Shelf


class RedisShelf(Shelf):
    """The Redis that the processes share anyway; one round trip for each call."""

    def get(self, page: str, encoding: Encoding) -> Item | None:
        """The fields of the hash."""
        fields = ("version", "serial", "etag", encoding.value)
        found = shared.attempt(lambda redis: redis.hmget(page, fields), None)
        if not found or None in found:
            return None
        return Item(int(found[0]), int(found[1]), found[2].decode(), found[3])

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
