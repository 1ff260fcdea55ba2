"""Active probes: every node is asked how it is when its time has come, by whichever host's beat comes first.

A probe is claimed by a conditional update before it is made, so hosts and overlapping beats never ask twice. A claim
lasts a little longer than a probe can; after that the probe of a process that died is due again.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction

from balancing import conf, health, nodes, picture, snapshot, stats
from balancing.backends import Backend, Condition, NodeError
from balancing.fleet import Admin
from balancing.models import Health, Node, Probe

MOST_AT_ONCE = 32
GRACE = 2.0  # seconds beyond the time-outs of a probe: for a busy host
LONGEST_DETAIL = 300

log = logging.getLogger("balancing.probes")
Backends = Callable[..., Backend]


@dataclass(frozen=True, slots=True)
class _Result:
    passed: bool
    seconds: float
    condition: Condition | None
    detail: str


def due(now: float | None = None) -> list[str]:
    """The nodes whose next probe is due, or was claimed by a process that died; disabled ones are left alone."""
    return [row.pk for row in _due(time.time() if now is None else now)]


def run_due(now: float | None = None, *, backend_for: Backends = nodes.backend_for) -> int:
    """Probe every node that is due, at the same time; gives how many were."""
    moment = time.time() if now is None else now
    claimed = [row.node for row in _due(moment) if _claim(row, moment)]
    if not claimed:
        return 0
    timeout = conf.get().probe_timeout
    pool = ThreadPoolExecutor(min(MOST_AT_ONCE, len(claimed)), thread_name_prefix="balancing-probe")
    try:
        # Threads touch the network only: this thread alone touches the database.
        asked = {pool.submit(_ask, node, backend_for, timeout): node for node in claimed}
        for future, node in _ended(asked, _longest(len(claimed), timeout)):
            _note(node, future.result() if future else _Result(False, timeout, None, "The probe did not end in time."))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    snapshot.publish()
    return len(claimed)


def _longest(count: int, timeout: float) -> float:
    """A backend waits a time-out at most to connect, for the head of the answer, and to read it."""
    turns = -(-count // MOST_AT_ONCE)
    return turns * 3 * timeout + GRACE


def _due(now: float) -> list[Health]:
    rules = conf.get().health
    rows = Health.objects.select_related("node").exclude(node__state=Admin.DISABLED.value).order_by("pk")
    return [row for row in rows if picture.plausible(picture.state_from_json(row.state), now, rules).next_probe <= now]


def _claim(row: Health, now: float) -> bool:
    options = conf.get()
    # Never so far ahead that it looks like a clock that jumped.
    end = now + min(_longest(1, options.probe_timeout), 2 * options.health.interval)
    state = replace(picture.state_from_json(row.state), next_probe=end)
    rows = Health.objects.filter(pk=row.pk, number=row.number)
    return bool(rows.update(state=picture.state_to_json(state), number=row.number + 1))


def _ask(node: Node, backend_for: Backends, timeout: float) -> _Result:
    start = time.monotonic()
    try:
        condition = backend_for(node, timeout=timeout).condition()
    except (NodeError, ValueError, OSError, ImproperlyConfigured) as error:
        return _Result(False, time.monotonic() - start, None, str(error)[:LONGEST_DETAIL])
    except Exception as error:
        log.exception("The probe of %s failed in an unexpected way.", node.name)
        return _Result(False, time.monotonic() - start, None, f"{type(error).__name__}: {error}"[:LONGEST_DETAIL])
    return _Result(True, time.monotonic() - start, condition, "")


def _ended(asked: "dict[Future[_Result], Node]", longest: float) -> "list[tuple[Future[_Result] | None, Node]]":
    """All in the order in which they ended; those that did not in time, last and without a result."""
    found: list[tuple[Future[_Result] | None, Node]] = []
    left = dict(asked)
    try:
        for future in as_completed(asked, timeout=longest):
            found.append((future, left.pop(future)))  # noqa: PERF401 - what came before a time-out counts
    except TimeoutError:
        found += [(None, node) for node in left.values()]
    return found


def _note(node: Node, result: _Result) -> None:
    used = stats.used(node.name) if node.capacity is not None else None
    known = health.probed(
        node.name, result.passed, result.seconds, result.condition, result.detail, used=used, publish=False
    )
    if known:
        _keep(node.name, result)


def _keep(name: str, result: _Result) -> None:
    """Write the probe down, and forget those that are too old."""
    detail = "".join(letter if letter.isprintable() else " " for letter in result.detail)
    try:
        with transaction.atomic():
            Probe.objects.create(
                node_id=name, at=datetime.now(UTC), passed=result.passed, seconds=result.seconds, detail=detail
            )
            keep = conf.get().keep_probes
            rows = Probe.objects.filter(node=name).order_by("-id").values_list("pk", flat=True)
            oldest = rows[keep : keep + 1].first() if keep >= 0 else None
            if oldest is not None:
                Probe.objects.filter(node=name, pk__lte=oldest).delete()
    except IntegrityError:
        log.info("The node %s was removed while it was probed.", name)
