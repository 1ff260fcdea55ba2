"""Garbage collection: what nothing refers to goes, everything else stays."""

import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from pkgindex.blobs import gc, store, tasks
from pkgindex.blobs.models import Blob
from tests.support import blobs
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db

OLD = timedelta(days=2)


def put(data: bytes, age: timedelta = OLD) -> str:
    """Store bytes whose claim and file are that old."""
    digest = hashlib.sha256(data).hexdigest()
    blobs.put(data)
    Blob.objects.filter(pk=digest).update(claimed_at=timezone.now() - age)
    make_old(Path(store.local_path(digest)), age)
    return digest


def make_old(path: Path, age: timedelta = OLD) -> Path:
    then = time.time() - age.total_seconds()
    os.utime(path, (then, then))
    return path


def stored() -> set[str]:
    return {sha256 for sha256, _ in store.walk()}


def test_old_blob_without_file_goes(index):
    """A blob that nothing refers to is removed, bytes and row; a file's content and metadata stay however old."""
    file = add_wheel(index)
    Blob.objects.update(claimed_at=timezone.now() - OLD)
    put(b"nobody's")

    assert gc.collect() == gc.Collected(blobs=1, size=8)

    assert stored() == {file.blob_id, file.metadata_blob_id} == set(Blob.objects.values_list("pk", flat=True))


def test_young_blob_stays():
    """What was claimed within the grace time may belong to an upload in progress."""
    digest = put(b"arriving", timedelta(hours=23))
    assert gc.collect() == gc.Collected()
    assert stored() == {digest}
    assert gc.collect(timedelta(hours=22)).blobs == 1


def test_renewed_claim_saves_old_bytes():
    """An upload of bytes that were about to go keeps them."""
    digest = put(b"again")
    cutoff = timezone.now() - gc.GRACE
    store.claim([store.Content(digest, 5, b"again")])
    assert not gc.remove(digest, cutoff)
    assert stored() == {digest}


def test_young_bytes_of_an_old_row_stay():
    """An upload that found nothing under the name stores the bytes without claiming the row before."""
    digest = put(b"again")
    store.remove_bytes(digest)
    store.put([store.Content(digest, 5, b"again")])
    assert gc.collect() == gc.Collected()
    assert stored() == {digest}
    make_old(Path(store.local_path(digest)))
    assert gc.collect().blobs == 1


def test_reference_made_meanwhile_saves_bytes(index):
    """The second look, with the row held, sees a file that was published after the first."""
    file = add_wheel(index)
    Blob.objects.update(claimed_at=timezone.now() - OLD)
    assert not gc.remove(file.blob_id, timezone.now())
    assert store.is_whole(file.blob_id, file.size)


def test_bytes_without_row_go_when_old():
    """Bytes that lost their row are removed after the grace time, young ones are not."""
    old, young = put(b"old"), put(b"young", timedelta(0))
    Blob.objects.all().delete()
    assert gc.collect() == gc.Collected(orphan_bytes=1, size=3)
    assert stored() == {young}
    assert old not in stored()
    assert not Blob.objects.exists()


def test_row_without_bytes_goes():
    """A collection that died after the bytes is finished by the next one."""
    digest = put(b"half")
    store.remove_bytes(digest)
    assert gc.collect().blobs == 1
    assert not Blob.objects.exists()


def test_unfinished_files_go_when_old(settings):
    """Spool and temporary files of crashed uploads are removed, fresh ones and folders are not."""
    settings.SPOOL_DIR.mkdir(parents=True)
    temporary = store.storage().temporary
    temporary.mkdir(parents=True)
    old = [settings.SPOOL_DIR / "upload-old", temporary / "old"]
    for path in old:
        path.write_bytes(b"half")
        make_old(path)
    fresh = settings.SPOOL_DIR / "upload-fresh"
    fresh.write_bytes(b"half")
    make_old(fresh, timedelta(hours=5))
    (settings.SPOOL_DIR / "folder").mkdir()
    make_old(settings.SPOOL_DIR / "folder")

    assert gc.collect(dry_run=True).unfinished == 2
    assert tasks.sweep() == 2

    assert [path.exists() for path in old] == [False, False]
    assert fresh.exists()
    assert gc.collect().unfinished == 0


def test_dry_run_counts_and_keeps(index):
    """A dry run tells the same numbers and removes nothing."""
    put(b"nobody's")
    put(b"rowless")
    Blob.objects.filter(size=7).delete()
    before = stored()
    would = gc.collect(dry_run=True)
    assert would == gc.Collected(blobs=1, orphan_bytes=1, size=15)
    assert stored() == before
    assert tasks.collect() == would.as_dict()
    assert stored() == set()


def test_many_blobs_are_taken_in_batches(monkeypatch):
    """More rows than one query asks for are all seen, once each."""
    monkeypatch.setattr(gc, "BATCH", 3)
    for number in range(10):
        put(str(number).encode())
    assert gc.collect().blobs == 10
    assert stored() == set()


def test_foreign_files_in_the_storage_are_left_alone():
    """A file whose name is no digest is not ours to remove."""
    path = Path(store.storage().path("ab/cd/README"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"hello")
    make_old(path)
    assert gc.collect() == gc.Collected()
    assert path.exists()
