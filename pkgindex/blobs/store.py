"""Blobs in `STORAGES["blobs"]`: put, open, look, remove. Whether somebody may read one is the doors' business.

Bytes cannot vanish between being stored and being referred to. Garbage collection removes bytes only while it holds
their row, and only when both the row's claim and the bytes themselves are older than its grace time. A publisher writes
what is not there at all, which is young then; where something lies under the name it claims the row first and looks
again, so that a collection which has begun is waited for. The transaction that refers to the bytes claims all of them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.utils import timezone

from pkgindex.blobs.files import move_durably, publish, write_aside
from pkgindex.blobs.models import Blob
from pkgindex.prepared import Insert, Statement, run

TEMPORARY = "tmp"
SET_ASIDE = "damaged"
DIGEST = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}")  # as `blob_name` makes it
_claim = Insert(Blob, renewed=["claimed_at"])


class DurableFileStorage(FileSystemStorage):
    """A folder of blobs on this machine; a file in it is complete, synced and never rewritten."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002
        """The name itself: equal names are equal bytes here, so writing one twice is harmless."""
        return name

    def path(self, name: str) -> str:
        """Where a file of that name lies. Raises SuspiciousFileOperation for one outside of the folder."""
        # The usual name needs none of Django's checks, which take longer than opening the file.
        return f"{self.location}/{name}" if NAME.fullmatch(name) else super().path(name)

    def _save(self, name: str, content: Any) -> str:
        self.take([(name, write_aside(content.chunks(), self.temporary))])
        return name

    def take(self, files: Sequence[tuple[str, Path]]) -> None:
        """Move finished local files, each under a name, into the storage; not copied where the file system allows."""
        moves = [(source, Path(self.path(name))) for name, source in files]
        try:
            move_durably(moves, Path(self.location), self.temporary)
        except BaseException:
            for source, _ in moves:
                source.unlink(missing_ok=True)
            raise

    @property
    def temporary(self) -> Path:
        """Where unfinished files live; whatever lies here after a crash is rubbish."""
        return Path(self.location) / TEMPORARY


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes and their digest and size, as the caller computed them: `data`, or a local file that is consumed."""

    sha256: str
    size: int
    data: bytes | Path


def storage() -> Storage:
    """The configured storage of blobs."""
    return storages["blobs"]


def blob_name(sha256: str) -> str:
    """The name in the storage: `aa/bb/<rest>`, so that no folder grows too large."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}"


def put(contents: Sequence[Content]) -> None:
    """Store bytes durably, each under its digest. The transaction that refers to them must `claim` them.

    Raises OSError.
    """
    missing = [content for content in contents if not _is_kept(content)]
    kept = storage()
    if isinstance(kept, DurableFileStorage):
        kept.take([(blob_name(one.sha256), _as_file(one, kept.temporary)) for one in missing])
    else:
        for one in missing:
            _save(kept, one)
    for content in contents:
        if isinstance(content.data, Path):
            content.data.unlink(missing_ok=True)


def _is_kept(content: Content) -> bool:
    """True where the bytes are there already and cannot be collected any more."""
    if not storage().exists(blob_name(content.sha256)):
        return False
    claim([content])
    return is_whole(content.sha256, content.size)


def _as_file(content: Content, temporary: Path) -> Path:
    return content.data if isinstance(content.data, Path) else write_aside([content.data], temporary)


def _save(kept: Storage, content: Content) -> None:
    name = blob_name(content.sha256)
    if isinstance(content.data, bytes):
        kept.save(name, ContentFile(content.data))
        return
    with content.data.open("rb") as file:
        kept.save(name, File(file))


def claim(contents: Sequence[Content]) -> None:
    """Insert the blobs' rows or renew their claims, which waits for a collection of the same rows."""
    run(claiming(contents))


def claiming(contents: Sequence[Content]) -> list[Statement]:
    """What `claim` sends, for those who send it together with the rows that refer to the blobs."""
    now = timezone.now()
    return [_claim.statement(sha256=one.sha256, size=one.size, claimed_at=now) for one in sorted(contents, key=_digest)]


def _digest(content: Content) -> str:
    return content.sha256


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
    claim([Content(sha256, len(data), data)])
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
