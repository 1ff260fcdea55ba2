"""Which version of a page is the newest: one small Redis key a page, so that a hit needs no SQL.

Layout (a documented contract: another front end may read it): `page:v:<index id>:<normalised name>` holds the serial of
the project's last change as decimal text, or `dirty:` and the serial that it is about to get; the empty name is the
list of projects, which every change of the index gives a new version. Protocol:

1. a writer, holding the journal lock, sets `dirty` with its serial before it commits, on all keys at once;
2. after the commit it sets the new serial on all keys at once, never a lower one, and not where a later writer is at 1;
3. a reader that finds `dirty` asks SQL and stores nothing; one that finds nothing asks SQL and stores what it read,
   only where there is still nothing. Where it finds nothing for a project and a serial for the list, what it knows from
   earlier may do (`pkgindex.catalog.following`).

So a reader that starts after a change was answered sees it, and a writer that dies between commit and step 2 leaves
readers to SQL until `dirty` expires. If Redis was out of the writer's reach both times and yet kept its old
value for the readers, they can be behind for at most VERSION_SECONDS.
"""

from collections.abc import Iterable

from pkgindex import shared
from throttling.stores.wire import Script

VERSION_SECONDS = 60
DIRTY_SECONDS = 30
DIRTY = b"dirty:%d"

# KEYS: page keys. ARGV[1]: what they hold from now on, ARGV[2]: seconds to keep it.
MARK = Script(b"""
for _, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[1], 'EX', ARGV[2])
end
return #KEYS
""")

# KEYS: page keys. ARGV[1]: the serial, ARGV[2]: seconds to keep it. Raises versions, never lowers one.
PUBLISH = Script(b"""
for _, key in ipairs(KEYS) do
  local held = redis.call('GET', key) or ''
  local serial = tonumber(held)
  local higher = serial and serial >= tonumber(ARGV[1])
  local later = tonumber(string.match(held, '^dirty:(%d+)$') or 0) > tonumber(ARGV[1])
  if not higher and not later then
    redis.call('SET', key, ARGV[1], 'EX', ARGV[2])
  end
end
return #KEYS
""")


def key(index_id: int, normalized_name: str = "") -> str:
    """The Redis key of a project's page version, or of the project list's."""
    return f"page:v:{index_id}:{normalized_name}"


def keys(index_id: int, normalized_name: str = "") -> tuple[str, ...]:
    """What a reader of a page needs: its key and, of a project, the list's after it."""
    return (key(index_id, normalized_name), key(index_id)) if normalized_name else (key(index_id),)


def read(names: tuple[str, ...]) -> tuple[bytes | None, ...] | None:
    """What these keys hold; None while Redis is away."""
    return shared.attempt(lambda redis: tuple(redis.mget(names)), None)


def mark_dirty(names: Iterable[str], serial: int) -> None:
    """Step 1: send readers to SQL."""
    each = list(dict.fromkeys(names))
    dirty = DIRTY % serial
    shared.attempt(lambda redis: shared.run_script(redis, MARK, each, dirty, DIRTY_SECONDS), 0, insist=True)


def publish(names: Iterable[str], serial: int) -> None:
    """Step 2: the change is committed; tell everyone."""
    each = list(names)
    shared.attempt(lambda redis: shared.run_script(redis, PUBLISH, each, serial, VERSION_SECONDS), 0, insist=True)


def parse(raw: bytes | None) -> int | None:
    """The serial that a key's value stands for; None where SQL must be asked."""
    return int(raw) if raw and raw.isdigit() else None


def remember(name: str, serial: int) -> None:
    """Step 3: a reader leaves what it read from SQL, unless somebody was quicker."""
    shared.attempt(lambda redis: redis.set(name, serial, ex=VERSION_SECONDS, nx=True), None)
