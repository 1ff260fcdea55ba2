"""The project's own tasks: the heartbeat, by which /readyz knows that beat sends and that a worker works, and the
nightly count of what is stored.
"""  # noqa: D205 - one sentence

from typing import Any

from celery import shared_task
from celery.signals import after_task_publish, beat_init

from pkgindex import heartbeat, storage

HEARTBEAT = "pkgindex.heartbeat"


@shared_task(name=HEARTBEAT)
def beat_heart() -> None:
    """Run by a worker: that it runs is the news."""
    heartbeat.beat_now(heartbeat.WORKER)


@shared_task(name="pkgindex.recount_storage")
def recount_storage() -> int:
    """Make what limits on storage count what the rows say; returns how many counters were wrong."""
    return storage.recount()


@after_task_publish.connect(sender=HEARTBEAT, weak=False)
def heartbeat_sent(**_: Any) -> None:
    """Run in beat, which alone sends the heartbeat, after the broker has taken it."""
    heartbeat.beat_now(heartbeat.BEAT)


@beat_init.connect(weak=False)
def first_heartbeat(**_: Any) -> None:
    """Run when beat starts, which would otherwise wait a whole interval before its first."""
    beat_heart.apply_async(expires=heartbeat.ALIVE_SECONDS)
