"""Periodic work on blobs: `blobs.collect` once a day, `blobs.sweep` once an hour."""

from datetime import timedelta

from celery import shared_task

from pkgindex.blobs import gc

# An upload takes at most hours, and its spool file is fresh as long as bytes arrive.
SWEEP_GRACE = timedelta(hours=6)


@shared_task(name="blobs.collect")
def collect() -> dict[str, int]:
    """Remove blobs that nothing refers to, and what crashes left."""
    return gc.collect().as_dict()


@shared_task(name="blobs.sweep")
def sweep() -> int:
    """Remove unfinished uploads; returns how many."""
    return gc.sweep(SWEEP_GRACE)
