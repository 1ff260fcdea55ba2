"""The adapter that joins `balancing` to the catalogue: what is replicated, and when that changes.

Found by the setting BALANCING["SOURCE"]; nobody imports it. Files are replicated by the digest of their bytes: a file
of several indexes is copied as often as the index that wants most. Metadata files are small and stay with us, and what
is quarantined has no copies.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

from celery import shared_task
from django.db.models import Max, Min, QuerySet
from django.dispatch import receiver

from balancing import snapshot
from balancing.replication import requests
from balancing.signals import changed as nodes_changed
from balancing.source import ALL, Wanted
from pkgindex.audit.record import Actor, record
from pkgindex.blobs import store
from pkgindex.catalog.models import EVERY_NODE, File, ProjectStatus
from pkgindex.catalog.signals import FileFacts, copies_changed, files_added, files_removed

BATCH = 500  # digests of one query
RECOUNT = "mirrors.recount"

log = logging.getLogger(__name__)


class Catalogue:
    """The files of all indexes as `balancing.source.Source` asks for them."""

    def wanted(self, digests: Sequence[str]) -> dict[str, Wanted]:
        """What is wanted of these bytes, over all files that are made of them."""
        return {one.digest: one for one in _wanted(_offered().filter(blob_id__in=digests))}

    def every(self, after: str = "") -> Iterator[Wanted]:
        """Everything that is wanted anywhere, by ascending digest, in short queries."""
        while True:
            batch = list(_wanted(_offered().filter(blob_id__gt=after), BATCH))
            yield from batch
            if len(batch) < BATCH:
                return
            after = batch[-1].digest

    def open(self, digest: str) -> BinaryIO:
        """The original's bytes. Raises OSError."""
        return cast("BinaryIO", store.open_blob(digest).file)


def source() -> Catalogue:
    """What BALANCING["SOURCE"] names."""
    return Catalogue()


@shared_task(name=RECOUNT, acks_late=True)
def recount(index_id: int | None = None, project_id: int | None = None) -> None:
    """See to every file of an index or of a project, after other copies are wanted of them."""
    rows = File.objects.all()
    if index_id is not None:
        rows = rows.filter(index_id=index_id)
    if project_id is not None:
        rows = rows.filter(release__project_id=project_id)
    after = ""
    while digests := list(
        rows.filter(blob_id__gt=after).order_by("blob_id").values_list("blob_id", flat=True).distinct()[:BATCH]
    ):
        requests.wanted(digests)
        after = digests[-1]


@receiver(files_added)
def _added(facts: Sequence[FileFacts], **_: Any) -> None:
    # A node that joins in this second finds the file by itself: `balancing.plan` walks over all of them.
    if snapshot.current().nodes:
        requests.wanted([one.sha256 for one in facts])


@receiver(files_removed)
def _removed(facts: Sequence[FileFacts], **_: Any) -> None:
    requests.wanted([one.sha256 for one in facts])


@receiver(copies_changed)
def _changed(index_id: int | None = None, project_id: int | None = None, **_: Any) -> None:
    requests.send(recount, index_id=index_id, project_id=project_id)


@receiver(nodes_changed)
def _audited(actor: str, action: str, target: str, before: Any, after: Any, **_: Any) -> None:
    record(Actor(None, actor), f"{action} node", "node", target, before=before, after=after)


def _offered() -> QuerySet[File]:
    return File.objects.exclude(index__mirror_copies=0).exclude(
        release__project__status=ProjectStatus.QUARANTINED.value
    )


def _wanted(files: QuerySet[File], most: int | None = None) -> Iterator[Wanted]:
    rows = (
        files.order_by("blob_id")
        .values_list("blob_id")
        .annotate(size=Max("size"), most=Max("index__mirror_copies"), least=Min("index__mirror_copies"))
    )
    for digest, size, highest, lowest in rows[:most]:
        yield Wanted(digest, size, ALL if lowest == EVERY_NODE else highest)
