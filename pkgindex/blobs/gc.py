"""Removing what nothing refers to: blobs without a file, bytes without a row, files that a crash left unfinished.

Nothing younger than the grace time is touched, because an upload stores its bytes before the row that refers to them.
A blob is removed while its row is held, after a second look at the claim, the bytes' age and the references;
`pkgindex.blobs.store` tells the other half of that protocol. So an upload of the same bytes either finds them whole or
stores them anew.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, ForeignObjectRel, OuterRef, QuerySet
from django.utils import timezone

from pkgindex.blobs import store
from pkgindex.blobs.models import Blob

GRACE = timedelta(hours=24)
BATCH = 500  # digests of one query
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Collected:
    """What a collection removed, or would remove. `size` is the bytes of blobs, not of unfinished files."""

    blobs: int = 0
    orphan_bytes: int = 0
    unfinished: int = 0
    size: int = 0

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self)


def collect(grace: timedelta = GRACE, *, dry_run: bool = False) -> Collected:
    """Remove everything unreferenced that is older than `grace`; says how much."""
    done = Collected()
    cutoff = timezone.now() - grace
    for blob in in_batches(unreferenced(cutoff)):
        if dry_run or remove(blob.sha256, cutoff):
            done.blobs += 1
            done.size += blob.size
    for sha256, size in orphan_bytes(cutoff):
        if dry_run or adopt_and_remove(sha256, size, cutoff):
            done.orphan_bytes += 1
            done.size += size
    for path in unfinished(cutoff):
        if not dry_run:
            path.unlink(missing_ok=True)
        done.unfinished += 1
    return done


def sweep(grace: timedelta) -> int:
    """Remove unfinished files older than `grace`; returns how many. Cheap: two folders that are almost empty."""
    paths = list(unfinished(timezone.now() - grace))
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def unreferenced(cutoff: datetime) -> QuerySet[Blob]:
    """Rows that nothing refers to and that nobody claimed since `cutoff`."""
    rows = Blob.objects.filter(claimed_at__lt=cutoff)
    for relation in _relations():
        manager = relation.related_model._default_manager  # noqa: SLF001 - Django documents it as public
        rows = rows.filter(~Exists(manager.filter(**{relation.field.name: OuterRef("pk")})))
    return rows


def in_batches(rows: QuerySet[Blob]) -> Iterator[Blob]:
    """The rows by key in short queries, so that none stays open while rows are deleted or hours of bytes are read."""
    last = ""
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield from batch
        last = batch[-1].pk


def remove(sha256: str, cutoff: datetime) -> bool:
    """Remove one blob, bytes and row, if it is still unreferenced and unclaimed; says whether it did."""
    with transaction.atomic():
        # Locked first and looked at afterwards: a claim or a reference made before the lock is then visible.
        if not Blob.objects.select_for_update().filter(pk=sha256).exists():
            return False
        if not unreferenced(cutoff).filter(pk=sha256).exists():
            return False
        modified = store.modified_at(sha256)
        if modified is not None and modified >= cutoff:
            return False  # somebody is about to refer to what they stored a moment ago
        if modified is not None:  # else what appears now is somebody's and young
            store.remove_bytes(sha256)
        Blob.objects.filter(pk=sha256).delete()
    return True


def orphan_bytes(cutoff: datetime) -> Iterator[tuple[str, int]]:
    """Stored bytes that have no row and were written before `cutoff`, as (sha256, size)."""
    walk = store.walk()
    while batch := dict(islice(walk, BATCH)):
        known = set(Blob.objects.filter(pk__in=batch).values_list("pk", flat=True))
        for sha256 in batch.keys() - known:
            modified = store.modified_at(sha256)
            if modified is not None and modified < cutoff:
                yield sha256, batch[sha256]


def unfinished(cutoff: datetime) -> Iterator[Path]:
    """Files of uploads and writes that were never finished, last written before `cutoff`."""
    kept = store.storage()
    folders = [Path(settings.SPOOL_DIR)]
    if isinstance(kept, store.DurableFileStorage):
        folders.append(kept.temporary)
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            try:
                old = path.stat().st_mtime < cutoff.timestamp()
            except FileNotFoundError:  # it was published just now
                continue
            if old and path.is_file():
                yield path


def adopt_and_remove(sha256: str, size: int, cutoff: datetime) -> bool:
    """Give the bytes a row with an old claim first, so that an upload of them in this moment is noticed."""
    Blob.objects.bulk_create([Blob(sha256=sha256, size=size, claimed_at=LONG_AGO)], ignore_conflicts=True)
    return remove(sha256, cutoff)


def _relations() -> list[ForeignObjectRel]:
    """Every foreign key to Blob, whichever room it is in: this room knows none of the others."""
    fields = Blob._meta.get_fields(include_hidden=True)  # noqa: SLF001 - Django documents _meta as public
    return [field for field in fields if isinstance(field, ForeignObjectRel)]
