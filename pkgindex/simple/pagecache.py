"""Ready pages by version: from this process, else from Redis or a file, else built once from SQL.

Layout in Redis (a documented contract: another front end may read it). Which version is the newest stands in
`page:v:…`, see `pkgindex.catalog.versions`. The bytes of a page of at most LARGE bytes stand in one hash for each page
and serialisation; those of a larger one in files, see `pkgindex.simple.files`. The hash is

    page:b:<revision>:<index id>:<normalised name>:<json|html>[:<prefix>]

where `revision` is that of `pkgindex.simple.serialize`, the empty name is the list of projects and `prefix` is the path
that the application is mounted under, left out where that is `/`. Fields:

    version    the page version that the bytes were built for, decimal; the content is at least that new
    serial     what X-PyPI-Last-Serial says, decimal
    etag       64 hex digits: SHA-256 of the serialisation's name, a colon and the identity bytes
    identity, gzip, zstd
               the bytes in that content coding

A reader uses the bytes only where `version` is not below the newest version, so nobody ever sees a page older than a
change that was answered. One hash holds one version and a new one replaces it: however often a page changes, it
takes the room of one page. The entity tag on the wire is the digest, then `-gz` or `-zstd` for the codings.

A hit costs one round trip (the version, and what limits say, together) and no SQL. On a miss one thread of one process
builds, under a lock in the process and `page:l:…` (SET NX PX) among processes, which it keeps as long as it works; the
others wait a bounded time for its bytes, then build themselves. A build takes the newest rows, so it serves everybody
who waits for a change that was made before it began. Files are a host's own: each host builds a large page once.
Where `PAGE_CACHE_URL` names a Memcached, it has the bytes in place of that hash (`pkgindex.simple.shelves.memcached`).
Without Redis the version comes from SQL and the bytes from this process or a file. Without a disk that takes files a
large page is built in memory.
"""

import gzip
import hashlib
import io
import logging
import secrets
import time
from contextlib import ExitStack
from typing import Any, NamedTuple

import zstandard
from django.conf import settings
from prometheus_client import Histogram

from pkgindex import nearcache, shared
from pkgindex.catalog import following, versions
from pkgindex.catalog.names import is_normalized, is_valid_name
from pkgindex.nearcache import Missing, Recent
from pkgindex.simple import files, shelves, source
from pkgindex.simple.blocks import Beat
from pkgindex.simple.lru import Flights, PageLru, Ready
from pkgindex.simple.negotiate import Encoding
from pkgindex.simple.serialize import REVISION, Format
from throttling.lines import Beside

LOCAL_BYTES = 24 << 20  # a worker stays below 150 MB with a million files
LARGE = 1 << 20  # bytes; more would not pass the client's time-out of a quarter second on a slow network
ABSENT_NAMES = 5_000  # that a process remembers: an installer asks a private index for public names too
MOST_GATHERED = 16  # pages at once, which may be as large as that
LEVEL = 6  # of gzip and zstd
LOCK_MILLISECONDS = 10_000
RENEW_SECONDS = 1.0
WAIT_SECONDS = 20.0
POLL_SECONDS = 0.02
SUFFIXES = {Encoding.IDENTITY: "", Encoding.GZIP: "-gz", Encoding.ZSTD: "-zstd"}
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"

log = logging.getLogger(__name__)

builds = Histogram(
    "pkgindex_page_build_seconds",
    "Pages of the simple API that were built, and how long each took.",
    ["format"],
    buckets=(0.01, 0.05, 0.25, 1, 5),
    registry=None,  # pkgindex.metrics shows it
)

local = PageLru(getattr(settings, "PAGE_CACHE_BYTES", LOCAL_BYTES))
nearcache.every.append(local)
_absent: Recent[tuple[int, str], bool] = Recent(ABSENT_NAMES)
_flights = Flights()


class PageKey(NamedTuple):
    """A page in one serialisation: an index, a normalised name (empty: the list of projects), a mount prefix."""

    index_id: int
    name: str
    format: Format
    prefix: str = "/"

    @property
    def bytes_key(self) -> str:
        """The hash that holds the bytes."""
        end = "" if self.prefix == "/" else f":{self.prefix}"
        return f"page:b:{REVISION}:{self.index_id}:{self.name}:{self.format.value}{end}"

    @property
    def version_keys(self) -> tuple[str, ...]:
        """What says which version is the newest."""
        return versions.keys(self.index_id, self.name)

    @property
    def lock_key(self) -> str:
        """Held by the process that builds."""
        return self.bytes_key.replace("page:b:", "page:l:", 1)


class _Others:
    """What other processes have built, for `pkgindex.nearcache.gather`; the key is a page and a coding."""

    def words(self, key: tuple[PageKey, Encoding]) -> tuple[str, ...]:
        """Reads the page as `_shared` does."""
        page, encoding = key
        return shelves.current().words(page.bytes_key, encoding)

    def take_in(self, key: tuple[PageKey, Encoding], raw: Any, now: float) -> bool:  # noqa: ARG002 - versions say it
        """Keep the page, of whatever version."""
        found = shelves.current().item(raw)
        if found is not None:
            local.put(key, _from_shelf(found, key[1]))
        return found is not None


_others = _Others()


def fetch(page: PageKey, encoding: Encoding, held: Beside | None = None) -> Ready | None:
    """The newest page in that coding; None where there is no such project. Works, slower, without Redis.

    `held` is what the page's version keys hold, where the caller has just read it.
    """
    version = following.newest(page.index_id, page.name, held or versions.read(page.version_keys))
    if version is None:
        if page.name:
            _absent.add((page.index_id, page.name), True)
        return None
    return local.get((page, encoding), version) or _kept(page, encoding, version) or _build(page, encoding, version)


def at_hand(page: PageKey, encoding: Encoding, missing: Missing) -> Ready | None:
    """The page where this process has it ready, in whatever version; takes down what others may have left in Redis."""
    ready = local.get((page, encoding), 0)
    if ready is None and len(missing) < MOST_GATHERED and _may_be_elsewhere(page, encoding):
        missing.append((_others, (page, encoding)))
    return ready


def _may_be_elsewhere(page: PageKey, encoding: Encoding) -> bool:
    """Whether Redis may have it; a name that no project can have must not look like the key of something else."""
    named = not page.name or (is_normalized(page.name) and is_valid_name(page.name))
    return named and not was_absent(page) and bool(shelves.current().words(page.bytes_key, encoding))


def was_absent(page: PageKey) -> bool:
    """Whether there was no such project when this process asked last; its version says whether there is one now."""
    return _absent.find((page.index_id, page.name)) is not None


def version_at_hand(page: PageKey, held: Beside | None) -> int | None:
    """The newest version as Redis or `held` has it; None where SQL would have to be asked. `held` is as in `fetch`."""
    return following.at_hand(page.index_id, page.name, held or versions.read(page.version_keys))


def forget(page: PageKey, encoding: Encoding) -> None:
    """Let go of a representation whose file is not there any more: the next `fetch` finds or makes another."""
    local.forget((page, encoding))


def _kept(page: PageKey, encoding: Encoding, version: int) -> Ready | None:
    """The page from Redis or a file, if it is new enough; leaves it in this process."""
    ready = _shared(page, encoding, version) or _filed(page, encoding, version)
    if ready is not None:
        local.put((page, encoding), ready)
    return ready


def _shared(page: PageKey, encoding: Encoding, version: int) -> Ready | None:
    found = shelves.current().get(page.bytes_key, encoding)
    return None if found is None or found.version < version else _from_shelf(found, encoding)


def _from_shelf(found: shelves.Item, encoding: Encoding) -> Ready:
    return Ready(found.version, found.serial, _etag(found.etag, encoding), found.body)


def _filed(page: PageKey, encoding: Encoding, version: int) -> Ready | None:
    found = files.look(page.bytes_key, encoding)
    return None if found is None or found.version < version else _from_file(found, encoding)


def _from_file(kept: files.Kept, encoding: Encoding) -> Ready:
    tag = _etag(kept.etag, encoding)
    return Ready(kept.version, kept.serial, tag, path=kept.path(encoding), length=kept.size(encoding))


def _build(page: PageKey, encoding: Encoding, version: int) -> Ready | None:
    """Build the page unless a thread or process that was quicker has left it."""
    with _flights.boarding(page, WAIT_SECONDS):
        done = local.get((page, encoding), version) or _kept(page, encoding, version)
        if done is not None:
            return done
        token = secrets.token_hex(8)
        done = _wait_for_turn(page, encoding, version, token)
        if done is not None:
            return done
        try:
            # Whoever held the lock a moment ago may have left the page.
            return _kept(page, encoding, version) or _make(page, encoding, version, _holding_on(page, token))
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
        there = shelves.current().may_have(page.bytes_key, version)
        done = _kept(page, encoding, version) if there else _filed(page, encoding, version)
        if done is not None:
            return done
    return None


def _holding_on(page: PageKey, token: str) -> Beat:
    """Keeps the lock while work goes on: a build may take longer than one that died may hold up the others."""
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        if time.monotonic() > last + RENEW_SECONDS:
            last = time.monotonic()
            shared.attempt(lambda redis: redis.eval(RENEW, 1, page.lock_key, token, LOCK_MILLISECONDS), 0)

    return beat


def _make(page: PageKey, encoding: Encoding, version: int, beat: Beat) -> Ready | None:
    with builds.labels(page.format.value).time():
        try:
            ready = _assemble(page, encoding, version, beat)
        except OSError as error:
            log.warning("a page cannot be kept in PAGES_DIR (%s); making it in memory", error)
            ready = _assemble(page, encoding, version, beat, on_disk=False)
    if ready is not None:
        local.put((page, encoding), ready)
    return ready


def _assemble(page: PageKey, encoding: Encoding, version: int, beat: Beat, *, on_disk: bool = True) -> Ready | None:
    with ExitStack() as stack:
        scratch = stack.enter_context(files.scratch(LARGE)) if on_disk else io.BytesIO()
        held = stack.enter_context(files.held(page.bytes_key)) if on_disk else None
        draft = source.draft(page.index_id, page.name, page.format, page.prefix, scratch, held, beat)
        if draft is None:
            return None
        # The page states its own serial; where that is newer than the version asked for, the page is that new.
        version = max(version, draft.top.serial)
        salt = page.format.value.encode() + b":"
        if on_disk and draft.size > LARGE:
            return _from_file(files.keep(page.bytes_key, version, salt, draft, beat), encoding)
        identity = b"".join(draft.pieces())
    if held is not None:
        files.drop(page.bytes_key)  # it has become small
    digest = hashlib.sha256(salt + identity).hexdigest()
    forms = compressed(identity)
    if len(identity) <= LARGE:
        shelves.current().put(page.bytes_key, version, draft.top.serial, digest, forms)
    return Ready(version, draft.top.serial, _etag(digest, encoding), forms[encoding])


def compressed(identity: bytes) -> dict[Encoding, bytes]:
    """The bytes in every coding. Equal bytes give equal results, so that entity tags stay true on every host."""
    level = files.LEVEL if len(identity) > LARGE else LEVEL
    return {
        Encoding.IDENTITY: identity,
        Encoding.GZIP: gzip.compress(identity, level, mtime=0),
        Encoding.ZSTD: zstandard.ZstdCompressor(level=level).compress(identity),
    }


def _etag(digest: str, encoding: Encoding) -> str:
    return f'"{digest}{SUFFIXES[encoding]}"'
