"""Sending tasks with a bounded wait.

A broker that is away costs one short wait and no error: the rows stand, and the reaper sends their tasks later.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery import current_app
from celery.app.task import Task
from kombu.connection import Connection

from balancing import conf
from balancing.models import ReplicaState
from balancing.replication import rows
from balancing.replication.queries import Work
from balancing.replication.schedule import COPY, DELETE

PATIENCE = 1.0  # seconds that one broker may keep us waiting
PAUSE = 5.0  # seconds without a further try after it did

log = logging.getLogger(__name__)


class _Breaker:
    """Open after a failure, for a while; one for each process, because each has its own way to the broker."""

    def __init__(self) -> None:
        self.until = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self.until

    def trip(self, error: Exception) -> None:
        self.until = time.monotonic() + PAUSE
        log.warning("The broker does not take tasks, the reaper sends them later: %s", error)


breaker = _Breaker()


def dispatch(work: Sequence[Work]) -> int:
    """Send a task for each (digest, node, state); returns how many the broker took. Never raises."""
    done: list[tuple[str, str]] = []
    deleting = ReplicaState.DELETING.value
    messages = ((DELETE if state == deleting else COPY, (digest, node)) for digest, node, state in work)
    # Later than that the reaper sends another task for the row, so that the queue cannot grow without end.
    for _, pair in _published((name, pair, {}, conf.get().lease) for name, pair in messages):
        done.append(pair)
    rows.sent(done)
    return len(done)


def send(task: "str | Task[Any, Any]", *args: Any, expires: float | None = None, **kwargs: Any) -> bool:
    """Send one task; False where the broker is away. Never raises, waits about a second at most."""
    name = task if isinstance(task, str) else str(task.name)
    return any(True for _ in _published([(name, args, kwargs, expires)]))


def _published(
    messages: Iterable[tuple[str, tuple[Any, ...], dict[str, Any], float | None]],
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Those that the broker took, up to the first that it did not."""
    if breaker.is_open:
        return
    end = time.monotonic() + 2 * PATIENCE
    try:
        with _connection() as connection:
            producer = current_app.amqp.Producer(connection, auto_declare=False)
            for name, args, kwargs, expires in messages:
                if time.monotonic() > end:
                    return
                current_app.send_task(
                    name, args, kwargs, producer=producer, expires=expires, retry=False, ignore_result=True
                )
                yield name, args
    except Exception as error:  # noqa: BLE001 - each transport has errors of its own, and none may reach an uploader
        breaker.trip(error)


@contextmanager
def _connection() -> Iterator[Connection]:
    """A connection of its own: those of Celery's pool try again for minutes."""
    once = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    limits = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    limits |= {"connect_retries_timeout": PATIENCE, "read_timeout": PATIENCE, "write_timeout": PATIENCE}
    with current_app.connection_for_write(connect_timeout=PATIENCE, transport_options=once | limits) as connection:
        yield connection
