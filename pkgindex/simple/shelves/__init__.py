"""Where hosts share the bytes of ready pages: Redis, Memcached or nowhere, as `PAGE_CACHE_URL` says."""

from urllib.parse import urlsplit

from django.conf import settings

from pkgindex.simple.shelves.base import Item, NullShelf, Shelf
from pkgindex.simple.shelves.redis import RedisShelf

__all__ = ["Item", "Shelf", "current", "of_url"]

_made: dict[str, Shelf] = {}


def current() -> Shelf:
    """The shelf of this installation."""
    url = str(settings.PAGE_CACHE_URL)
    found = _made.get(url)
    if found is None:
        found = _made[url] = of_url(url)
    return found


def of_url(url: str) -> Shelf:
    """The shelf for a URL that `pkgindex.env` has let through; empty: Redis."""
    parts = urlsplit(url)
    if parts.scheme == "none":
        return NullShelf()
    if parts.scheme == "memcached":
        from pkgindex.simple.shelves.memcached import MemcachedShelf  # noqa: PLC0415 - its client is optional

        return MemcachedShelf(parts.netloc.split(","))
    return RedisShelf()
