"""Blobs in `STORAGES["blobs"]`: put, open, look, remove. Whether somebody may read one is the doors' business.

A publisher first claims the blob's row and only then looks for the bytes; garbage collection removes bytes while it
holds that row and only when the claim is older than its grace time. So bytes cannot vanish under an upload.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils import timezone

from pkgindex.blobs.files import make_directories, move_durably, publish, write_durably
from pkgindex.blobs.models import Blob

TEMPORARY = "tmp"
SET_ASIDE = "damaged"
DIGEST = re.compile(r"[0-9a-f]{64}")


class DurableFileStorage(FileSystemStorage):
    """A folder of blobs on this machine; a file in it is complete, synced and never rewritten."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002
        """The name itself: equal names are equal bytes here, so writing one twice is harmless."""
        return name

    def _save(self, name: str, content: Any) -> str:
        target = self._target(name)
        write_durably(target, content.chunks(), self.temporary)
        return name

    def take(self, name: str, source: Path) -> None:
        """Move a finished local file into the storage without copying it where the file system allows."""
        move_durably(source, self._target(name), self.temporary)

    @property
    def temporary(self) -> Path:
        """Where unfinished files live; whatever lies here after a crash is rubbish."""
        return Path(self.location) / TEMPORARY

    def _target(self, name: str) -> Path:
        target = Path(self.path(name))
        make_directories(target.parent, Path(self.location))
        return target


def storage() -> Storage:
    """The configured storage of blobs."""
    return storages["blobs"]


def blob_name(sha256: str) -> str:
    """The name in the storage: `aa/bb/<rest>`, so that no folder grows too large."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}"


def put_file(source: Path, sha256: str, size: int) -> Blob:
    """Store a local file under its digest, which the caller computed from these bytes; consumes `source`."""
    blob = claim(sha256, size)
    kept = storage()
    if not is_whole(sha256, size):
        if isinstance(kept, DurableFileStorage):
            kept.take(blob_name(sha256), source)
        else:
            with source.open("rb") as file:
                kept.save(blob_name(sha256), File(file))
    source.unlink(missing_ok=True)
    return blob


def put_bytes(data: bytes, sha256: str) -> Blob:
    """Store a small blob, such as a `.metadata` file."""
    blob = claim(sha256, len(data))
    if not is_whole(sha256, len(data)):
        storage().save(blob_name(sha256), ContentFile(data))
    return blob


def claim(sha256: str, size: int) -> Blob:
    """Insert the blob's row or renew its claim, in one statement that waits for a collection of the same row."""
    blob = Blob(sha256=sha256, size=size, claimed_at=timezone.now())
    Blob.objects.bulk_create([blob], update_conflicts=True, unique_fields=["sha256"], update_fields=["claimed_at"])
    return blob


def is_whole(sha256: str, size: int) -> bool:
    """True where the storage holds a file of that name and size."""
    kept, name = storage(), blob_name(sha256)
    return kept.exists(name) and kept.size(name) == size


def open_blob(sha256: str) -> File:
    """The bytes for reading. Raises FileNotFoundError."""
    return storage().open(blob_name(sha256), "rb")


def local_path(sha256: str) -> str | None:
    """The path of the bytes where they are a local file, else None."""
    try:
        return storage().path(blob_name(sha256))
    except NotImplementedError:
        return None


def remove_bytes(sha256: str) -> None:
    """Delete the bytes; for garbage collection alone, which holds the row."""
    storage().delete(blob_name(sha256))


def replace_bytes(data: bytes, sha256: str) -> None:
    """Write a small blob again although something lies under its name; for repairs of damaged bytes alone."""
    claim(sha256, len(data))
    storage().save(blob_name(sha256), ContentFile(data))


def set_aside(sha256: str) -> Path | None:
    """Move damaged bytes out of the way, so that the same file can be uploaded again; returns their new place.

    None where the storage is not a folder of this machine: nothing is moved then.
    """
    kept = storage()
    if not isinstance(kept, DurableFileStorage):
        return None
    target = Path(kept.location) / SET_ASIDE / sha256
    target.parent.mkdir(mode=0o700, exist_ok=True)
    publish(Path(kept.path(blob_name(sha256))), target)
    return target


def modified_at(sha256: str) -> datetime | None:
    """When the bytes were written; None where they are gone."""
    try:
        return storage().get_modified_time(blob_name(sha256))
    except FileNotFoundError:
        return None


def walk() -> Iterator[tuple[str, int]]:
    """Every stored blob as (sha256, size in bytes), folder by folder; files of other names are passed over."""
    kept = storage()
    for first in _listed(kept, "", folders=True):
        for second in _listed(kept, first, folders=True) if len(first) == 2 else ():
            for rest in _listed(kept, f"{first}/{second}", folders=False):
                sha256 = first + second + rest
                if not DIGEST.fullmatch(sha256):
                    continue
                try:
                    yield sha256, kept.size(blob_name(sha256))
                except FileNotFoundError:  # it was collected just now
                    continue


def _listed(kept: Storage, path: str, *, folders: bool) -> list[str]:
    try:
        return sorted(kept.listdir(path)[0 if folders else 1])
    except FileNotFoundError:  # nothing was ever stored here
        return []
