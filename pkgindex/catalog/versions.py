"""Which version of a page is the newest: one small Redis key a page, so that a hit needs no SQL.

Layout (a documented contract: another front end may read it): `page:v:<index id>:<normalised name>` holds the serial of
the project's last change as decimal text, or `dirty`; the empty name is the list of projects. Protocol:

1. a writer, holding the journal lock, sets `dirty` before it commits;
2. after the commit it sets the new serial, never a lower one;
3. a reader that finds `dirty` asks SQL and stores nothing; one that finds nothing asks SQL and stores what it read,
   only where there is still nothing.

So a reader that starts after a change was answered sees it, and a writer that dies between commit and step 2 leaves
readers to SQL until `dirty` expires. If Redis was out of the writer's reach both times and yet kept its old
value for the readers, they can be behind for at most VERSION_SECONDS.
"""

from collections.abc import Iterable

from pkgindex import shared

VERSION_SECONDS = 60
DIRTY_SECONDS = 30
DIRTY = b"dirty"

# KEYS: page keys. ARGV[1]: what they hold from now on, ARGV[2]: seconds to keep it.
MARK = """
for _, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[1], 'EX', ARGV[2])
end
return #KEYS
"""

# KEYS: page keys. ARGV[1]: the serial, ARGV[2]: seconds to keep it. Raises versions, never lowers one.
PUBLISH = """
for _, key in ipairs(KEYS) do
  local held = tonumber(redis.call('GET', key) or '')
  if not held or held < tonumber(ARGV[1]) then
    redis.call('SET', key, ARGV[1], 'EX', ARGV[2])
  end
end
return #KEYS
"""


def key(index_id: int, normalized_name: str = "") -> str:
    """The Redis key of a project's page version, or of the project list's."""
    return f"page:v:{index_id}:{normalized_name}"


def mark_dirty(keys: Iterable[str]) -> None:
    """Step 1: send readers to SQL."""
    names = list(dict.fromkeys(keys))
    # One command: the client takes longer to put a pipeline of two together than Redis to answer it.
    shared.attempt(lambda redis: redis.eval(MARK, len(names), *names, DIRTY, DIRTY_SECONDS), 0, insist=True)


def publish(keys: Iterable[str], serial: int) -> None:
    """Step 2: the change is committed; tell everyone."""
    names = list(keys)
    shared.attempt(lambda redis: redis.eval(PUBLISH, len(names), *names, serial, VERSION_SECONDS), 0, insist=True)


def parse(raw: bytes | None) -> int | None:
    """The serial that a key's value stands for; None where SQL must be asked."""
    return int(raw) if raw and raw.isdigit() else None


def remember(name: str, serial: int) -> None:
    """Step 3: a reader leaves what it read from SQL, unless somebody was quicker."""
    shared.attempt(lambda redis: redis.set(name, serial, ex=VERSION_SECONDS, nx=True), None)
