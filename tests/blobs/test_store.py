"""Putting and finding blobs."""

import hashlib
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage

from pkgindex.blobs import store
from pkgindex.blobs.models import Blob
from tests.support import blobs

pytestmark = pytest.mark.django_db


def test_file_is_moved_under_its_digest(tmp_path):
    """A spooled file becomes the blob itself, at aa/bb/rest, and leaves nothing behind."""
    spool = tmp_path / "spooled"
    spool.write_bytes(b"wheel")
    digest = hashlib.sha256(b"wheel").hexdigest()

    blobs.put(spool)

    path = store.local_path(digest)
    assert path is not None
    assert Path(path).read_bytes() == b"wheel"
    assert path.endswith(f"{digest[:2]}/{digest[2:4]}/{digest[4:]}")
    assert not spool.exists()
    assert list(store.walk()) == [(digest, 5)]


def test_same_bytes_twice_are_one_blob():
    """Putting equal bytes again renews the claim and stores nothing more."""
    first = blobs.put(b"metadata")

    second = blobs.put(b"metadata")

    assert Blob.objects.get().claimed_at == second.claimed_at > first.claimed_at
    assert len(list(store.walk())) == 1


def test_truncated_bytes_are_written_again():
    """A file of the wrong size under a digest is replaced by the next upload of the right bytes."""
    digest = hashlib.sha256(b"metadata").hexdigest()
    blobs.put(b"metadata")
    Path(store.local_path(digest)).write_bytes(b"met")

    blobs.put(b"metadata")

    with store.open_blob(digest) as file:
        assert file.read() == b"metadata"


@pytest.mark.parametrize("name", ["../etc/passwd", "ab/../../x", "/etc/passwd", "ab/cd/../../../../x"])
def test_no_name_leads_out_of_the_folder(name):
    """Names of digests are not looked at twice; any other is."""
    kept = store.storage()
    digest = "0123456789abcdef" * 4

    assert kept.path(store.blob_name(digest)) == FileSystemStorage.path(kept, store.blob_name(digest))
    with pytest.raises(SuspiciousFileOperation):
        kept.path(name)
