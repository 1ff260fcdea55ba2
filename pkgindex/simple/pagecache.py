"""Ready pages by version: from this process, else from Redis, else built once from SQL.

Layout in Redis (a documented contract: another front end may read it). Which version is the newest stands in
`page:v:…`, see `pkgindex.catalog.versions`. The bytes stand in one hash for each page and serialisation,

    page:b:<index id>:<normalised name>:<json|html>[:<prefix>]

where the empty name is the list of projects and `prefix` is the path that the application is mounted under, left out
where that is `/`. Fields:

    version    the page version that the bytes were built for, decimal; the content is at least that new
    serial     what X-PyPI-Last-Serial says, decimal
    etag       64 hex digits: SHA-256 of the serialisation's name, a colon and the identity bytes
    identity, gzip, zstd
               the bytes in that content coding; the largest ones are left out where together they exceed SHARED_BYTES

A reader uses the bytes only where `version` is not below the newest version, so nobody ever sees a page older than a
change that was answered. One hash holds one version and a new one replaces it: however often a page changes, it
takes the room of one page. The entity tag on the wire is the digest, then `-gz` or `-zstd` for the codings.

A hit costs one round trip (the version, and what limits say, together) and no SQL. On a miss one thread of one process
builds, under a lock in the process and `page:l:…` (SET NX PX) among processes; the others wait a bounded time for its
bytes, then build themselves. Without Redis the version comes from SQL and the bytes from this process.
"""

import gzip
import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any

import zstandard
from django.conf import settings

from pkgindex import nearcache, shared
from pkgindex.catalog import versions
from pkgindex.simple import source
from pkgindex.simple.lru import Flights, PageLru, Ready
from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.serialize import Format, serialize
from throttling.lines import Beside

KEEP_SECONDS = 3_600
LOCAL_BYTES = 64 << 20
SHARED_BYTES = 8 << 20  # more in one answer would not pass the client's time-out of a quarter second on a slow network
LARGE = 1 << 20  # above this a build hurries: gzip's level costs more time than the level saves
LOCK_MILLISECONDS = 10_000
WAIT_SECONDS = 3.0
POLL_SECONDS = 0.02
ABSENT = 0  # the version of a name that no project has; real serials begin at 1
SUFFIXES = {Encoding.IDENTITY: "", Encoding.GZIP: "-gz", Encoding.ZSTD: "-zstd"}
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

local = PageLru(getattr(settings, "PAGE_CACHE_BYTES", LOCAL_BYTES))
nearcache.every.append(local)
_flights = Flights()


@dataclass(frozen=True, slots=True)
class PageKey:
    """A page in one serialisation: an index, a normalised name (empty: the list of projects), a mount prefix."""

    index_id: int
    name: str
    format: Format
    prefix: str = "/"

    @property
    def bytes_key(self) -> str:
        """The hash that holds the bytes."""
        end = "" if self.prefix == "/" else f":{self.prefix}"
        return f"page:b:{self.index_id}:{self.name}:{self.format.value}{end}"

    @property
    def version_key(self) -> str:
        """What says which version is the newest."""
        return versions.key(self.index_id, self.name)

    @property
    def lock_key(self) -> str:
        """Held by the process that builds."""
        return self.bytes_key.replace("page:b:", "page:l:", 1)


def fetch(page: PageKey, encoding: Encoding, held: Beside | None = None) -> Ready | None:
    """The newest page in that coding; None where there is no such project. Works, slower, without Redis.

    `held` is what the page's version key holds, where the caller has just read it.
    """
    version = _newest(page, held)
    if version is None:
        return None
    return local.get((page, encoding), version) or _shared(page, encoding, version) or _build(page, encoding, version)


def _newest(page: PageKey, held: Beside | None) -> int | None:
    key = page.version_key
    raw = held.value if held else shared.attempt(lambda redis: redis.get(key), None)
    version = versions.parse(raw)
    if version == ABSENT:
        return None
    if version is None:
        version = source.load_version(page.index_id, page.name)
        # An index that never changed has serial 0 too: that one is read from SQL each time.
        if raw is None and version != ABSENT:
            versions.remember(key, ABSENT if version is None else version)
    return version


def _shared(page: PageKey, encoding: Encoding, version: int) -> Ready | None:
    """The page from Redis if it is new enough; leaves it in this process."""
    fields = ("version", "serial", "etag", encoding.value)
    found = shared.attempt(lambda redis: redis.hmget(page.bytes_key, fields), None)
    if not found or None in found or int(found[0]) < version:
        return None
    ready = Ready(int(found[0]), int(found[1]), _etag(found[2].decode(), encoding), found[3])
    local.put((page, encoding), ready)
    return ready


def _build(page: PageKey, encoding: Encoding, version: int) -> Ready | None:
    """Build the page unless a thread or process that was quicker has left it."""
    with _flights.boarding(page, WAIT_SECONDS):
        done = local.get((page, encoding), version) or _shared(page, encoding, version)
        if done is not None:
            return done
        token = secrets.token_hex(8)
        done = _wait_for_turn(page, encoding, version, token)
        if done is not None:
            return done
        try:
            return _make(page, encoding, version)
        finally:
            shared.attempt(lambda redis: redis.eval(RELEASE, 1, page.lock_key, token), 0)


def _wait_for_turn(page: PageKey, encoding: Encoding, version: int, token: str) -> Ready | None:
    """Another process's page, or None when it is ours to build: the lock is free, the wait over or Redis away."""
    end = time.monotonic() + WAIT_SECONDS

    def acquire(redis: Any) -> bool:
        return bool(redis.set(page.lock_key, token, nx=True, px=LOCK_MILLISECONDS))

    while not shared.attempt(acquire, default=True):
        if time.monotonic() > end:
            return None
        time.sleep(POLL_SECONDS)
        built = shared.attempt(lambda redis: redis.hget(page.bytes_key, "version"), None)
        if built and int(built) >= version:
            # A coding too large for Redis is not there: build it here.
            return _shared(page, encoding, version)
    return None


def _make(page: PageKey, encoding: Encoding, version: int) -> Ready | None:
    content = source.load(page.index_id, page.name)
    if content is None:
        return None
    identity = serialize(content, page.format, page.prefix)
    digest = hashlib.sha256(page.format.value.encode() + b":" + identity).hexdigest()
    forms = compressed(identity)
    # The page states its own serial; where that is newer than the version asked for, the page is that new.
    version = max(version, content.serial)
    fields: dict[str, Any] = {"version": version, "serial": content.serial, "etag": digest}
    room = SHARED_BYTES
    for name, body in sorted(forms.items(), key=lambda form: len(form[1])):
        room -= len(body)
        if room >= 0:
            fields[name.value] = body
    shared.attempt(lambda redis: _store(redis, page.bytes_key, fields), None)
    ready = Ready(version, content.serial, _etag(digest, encoding), forms[encoding])
    local.put((page, encoding), ready)
    return ready


def compressed(identity: bytes) -> dict[Encoding, bytes]:
    """The bytes in every coding. Equal bytes give equal results, so that entity tags stay true on every host."""
    large = len(identity) > LARGE
    return {
        Encoding.IDENTITY: identity,
        Encoding.GZIP: gzip.compress(identity, 1 if large else 6, mtime=0),
        Encoding.ZSTD: zstandard.ZstdCompressor(level=1 if large else 6).compress(identity),
    }


def _store(redis: Any, key: str, fields: dict[str, Any]) -> None:
    pipeline = redis.pipeline(transaction=True)
    pipeline.delete(key)
    pipeline.hset(key, mapping=fields)
    pipeline.expire(key, KEEP_SECONDS)
    pipeline.execute()


def _etag(digest: str, encoding: Encoding) -> str:
    return f'"{digest}{SUFFIXES[encoding]}"'
