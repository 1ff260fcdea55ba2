"""Rows against bytes: what a check of the whole index finds, and what of it can be repaired."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, QuerySet

from pkgindex.blobs import gc, store
from pkgindex.blobs.check import Damage, damage_of
from pkgindex.blobs.models import Blob
from pkgindex.catalog.models import File
from pkgindex.upload.repair import rebuild_metadata

ORPHAN_ROW, ORPHAN_BYTES, UNFINISHED, WRONG_ROW = "orphan row", "orphan bytes", "unfinished file", "wrong row"
NAMED = 5  # filenames that a finding lists


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. `what` is a sha256 or a path; `files` are filenames that suffer."""

    kind: str
    what: str
    files: tuple[str, ...] = ()
    repaired: bool = False
    note: str = ""


def blobs_of(index_id: int | None) -> QuerySet[Blob]:
    """The blobs to look at: of one index, or all that are referred to."""
    files = File.objects.all() if index_id is None else File.objects.filter(index_id=index_id)
    content = files.values("blob_id")
    described = files.filter(metadata_blob__isnull=False).values("metadata_blob_id")
    return Blob.objects.filter(Q(pk__in=content) | Q(pk__in=described))


def damaged(
    index_id: int | None, *, rehash: bool, repair: bool, progress: Callable[[int], object]
) -> Iterator[Finding]:
    """Blobs whose bytes are missing or wrong; `progress` hears of bytes if `rehash`, else of blobs."""
    for blob in gc.in_batches(blobs_of(index_id)):
        if rehash:
            damage = damage_of(blob.sha256, blob.size, rehash=True, progress=progress)
        else:
            damage = damage_of(blob.sha256, blob.size, rehash=False)
            progress(1)
        if damage is not None:
            yield _finding(blob, damage, repair=repair)


def wrong_rows(index_id: int | None) -> Iterator[Finding]:
    """Files whose row and whose blob's row give different sizes."""
    rows = File.objects.exclude(size=F("blob__size"))
    for file in rows if index_id is None else rows.filter(index_id=index_id):
        yield Finding(WRONG_ROW, file.blob_id, (file.filename,), note=f"the file's row says {file.size} bytes")


def orphans(cutoff: datetime, *, repair: bool) -> Iterator[Finding]:
    """Blobs, bytes and unfinished files that nothing refers to, older than `cutoff`; repairing removes them."""
    for blob in gc.in_batches(gc.unreferenced(cutoff)):
        yield Finding(ORPHAN_ROW, blob.sha256, repaired=repair and gc.remove(blob.sha256, cutoff))
    for sha256, size in gc.orphan_bytes(cutoff):
        yield Finding(ORPHAN_BYTES, sha256, repaired=repair and gc.adopt_and_remove(sha256, size, cutoff))
    for path in gc.unfinished(cutoff):
        if repair:
            path.unlink(missing_ok=True)
        yield Finding(UNFINISHED, str(path), repaired=repair)


def _finding(blob: Blob, damage: Damage, *, repair: bool) -> Finding:
    names = File.objects.filter(Q(blob=blob) | Q(metadata_blob=blob)).values_list("filename", flat=True)
    files = tuple(names.order_by("filename")[:NAMED])
    if not repair:
        return Finding(damage.value, blob.sha256, files)
    if _rebuild(blob):
        return Finding(damage.value, blob.sha256, files, repaired=True, note="made again from the file")
    note = "upload the same file again, or copy it from a mirror or a backup"
    if damage is not Damage.MISSING and (place := store.set_aside(blob.sha256)):
        note = f"the damaged bytes are now {place}; {note}"
    return Finding(damage.value, blob.sha256, files, note=note)


def _rebuild(blob: Blob) -> bool:
    described = File.objects.filter(metadata_blob=blob).select_related("release__project")[:NAMED]
    return any(rebuild_metadata(file) for file in described)
