"""The picture of the nodes that this process goes by: at most `PICTURE_SECONDS` old, whoever has changed something.

Whoever changes a node or its health reads all rows once its change is committed and writes the picture to the shared
store, where the others find it with one GET. There it lives for two seconds, so a writer that died between the two, or
sees no store, delays the others by no more than that: who finds nothing reads the database. Where the store is away
each process reads the database once a second, and where both are, the last picture stands and says so.
"""

import logging
import threading
import time
from typing import Any

from django.core.signals import setting_changed
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F
from django.dispatch import receiver

from balancing import conf, picture, shared, states, stats
from balancing.fleet import Admin
from balancing.models import Node, Revision
from balancing.picture import NodeView, Picture

__all__ = ["NodeView", "Picture", "bump", "current", "publish", "reset", "revision", "status"]

KEY = "balancing:picture"
PATIENCE = 0.25  # seconds that a caller waits for another one that reads the picture
LIFE = 2.0  # seconds, and two turns of the readers at least
# KEYS[1] the picture; ARGV: the JSON, its number, its life in ms. An older picture never replaces a newer one.
REPLACE = """
local old = redis.call('GET', KEYS[1])
if old and tonumber(string.match(old, '^{"number":(%d+)') or '0') > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
"""

log = logging.getLogger("balancing")
_lock = threading.Lock()
_held: Picture | None = None
_checked = 0.0
_from = ""


def current() -> Picture:
    """The picture in force. The caller that finds it old looks once; callers beside it go on with what there is.

    Where nobody has looked for long, because the process was idle, they wait for the one that looks, but not for ever.
    """
    now, seconds = time.monotonic(), conf.get().picture_seconds
    held = _held
    if held is not None and now - _checked < seconds:
        return held
    if held is None:
        with _lock:
            return _held or _look()
    if not _lock.acquire(timeout=PATIENCE if now - _checked > 2 * seconds else 0):
        return held
    try:
        looked = _held is not None and time.monotonic() - _checked < seconds  # by the one that was waited for
        return _held if looked and _held else _look()
    finally:
        _lock.release()


def publish() -> None:
    """Read the rows and show them to every process; called when a change is committed. Raises nothing."""
    made = _read()
    if made is not None:
        _offer(made)
        if _held is None or made.number >= _held.number:
            _keep(made, "database")


def bump(expected: int | None = None) -> bool:
    """Count a change, inside its transaction; False where another one came after `expected`, and nothing is counted."""
    rows = Revision.objects.filter(pk=1)
    if expected is not None:
        rows = rows.filter(number=expected)
    if rows.update(number=F("number") + 1):
        return True
    made = not expected and Revision.objects.get_or_create(pk=1, defaults={"number": 1})[1]
    return made or (expected is None and bool(rows.update(number=F("number") + 1)))


def revision() -> int:
    """How many changes there have been."""
    return Revision.objects.filter(pk=1).values_list("number", flat=True).first() or 0


def reset() -> None:
    """Forget the picture: the next caller looks anew."""
    global _held, _from
    _held, _from = None, ""


def status() -> dict[str, Any]:
    """For health pages: where the picture came from (store, database or nowhere), its age in seconds, its number."""
    seen = current()
    return {"from": _from, "seconds": round(max(0.0, time.time() - seen.at), 1), "number": seen.number}


def _look() -> Picture:
    known = _held
    found, origin = _fetch(), "store"
    if found is None or (known is not None and found.number < known.number):
        found, origin = _read(), "database"
        if found is not None:
            _offer(found)
    if found is None:
        found, origin = _as_it_was(known), "nowhere"
    _keep(found, origin)
    stats.flush(patient=True)
    return found


def _as_it_was(known: Picture | None) -> Picture:
    if known is None or known.outdated:
        return known or Picture(outdated=True)
    log.error("Neither the store nor the database tells of the nodes; going on with what was last known.")
    return Picture(known.nodes, known.at, known.number, known.rules, known.away, known.lost_after, outdated=True)


def _keep(found: Picture, origin: str) -> None:
    global _held, _checked, _from
    _held, _checked, _from = found, time.monotonic(), origin


def _settings() -> dict[str, Any]:
    options = conf.get()
    return {"rules": options.health, "away": frozenset(options.away), "lost_after": options.lost_after}


def _fetch() -> Picture | None:
    text = shared.ask(lambda client: client.get(KEY), None)
    return picture.decode(text, time.time(), **_settings()) if text else None


def _offer(made: Picture) -> None:
    life = int(1000 * max(LIFE, 2 * conf.get().picture_seconds))
    shared.ask(lambda client: client.eval(REPLACE, 1, KEY, picture.encode(made), made.number, life), None)


def _read() -> Picture | None:
    try:
        # A savepoint, where a transaction runs: a fault here must not spoil the request's own work.
        with transaction.atomic():
            # The number first: what changes between the two reads is in the rows already, and its number is higher.
            at, number = time.time(), revision()
            rows = list(Node.objects.select_related("health"))
    except (DatabaseError, InterfaceError) as error:
        log.warning("The nodes cannot be read: %s", error)
        return None
    settings = _settings()
    return Picture(tuple(view(row, at, settings["rules"]) for row in rows), at, number, **settings)


def view_now(row: Node) -> NodeView:
    """The row as the picture would show it, for those who have it at hand."""
    return view(row, time.time(), conf.get().health)


def view(row: Node, now: float, rules: states.Rules) -> NodeView:
    """The row, with its health, as the picture shows it."""
    health = getattr(row, "health", None)
    state = picture.plausible(picture.state_from_json(health.state if health else None), now, rules)
    since, down = row.draining_since, health.down_since if health else None
    return NodeView(
        row.name,
        row.kind,
        row.url,
        row.public_url,
        row.bucket,
        row.region,
        row.prefix,
        row.zone,
        row.weight,
        row.max_conns,
        row.capacity,
        row.backup,
        Admin(row.state),
        min(since.timestamp(), now) if since else None,
        min(down.timestamp(), now) if down else None,
        state,
        health.in_flight if health else 0,
        health.latency if health else 0.0,
        states.score_at(state, now, rules) / rules.evidence,
        health.free if health else None,
        health.used if health else 0,
    )


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"BALANCING", "CACHES"}:
        reset()
