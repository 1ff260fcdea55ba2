"""The Celery task of the probes; copies have theirs in `balancing.replication`."""

from celery import shared_task

from balancing import probes
from balancing.replication import tasks as replication  # noqa: F401 - workers look for tasks in this file


@shared_task(name="balancing.probe", expires=2, ignore_result=True)
def probe() -> int:
    """Probe the nodes that are due; meant for beat, every second. Hosts and beats that overlap do no harm."""
    return probes.run_due()
