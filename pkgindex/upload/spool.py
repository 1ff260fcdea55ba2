"""Files on their way in: written once to the spool folder while their digests are computed."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from pkgindex.upload.errors import FileTooLarge
from pkgindex.upload.submission import Spooled

PIECE = 1 << 20  # bytes


class Spool:
    """A file being received. Memory stays flat whatever its size; call `discard` in the end, come what may."""

    def __init__(self, limit: int) -> None:
        """`limit` is the most bytes that `write` takes before it raises FileTooLarge."""
        folder = Path(settings.SPOOL_DIR)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=folder, prefix="upload-")
        self.path = Path(name)
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._limit, self._size = limit, 0
        self._sha256 = hashlib.sha256()
        self._blake2b = hashlib.blake2b(digest_size=32)
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises FileTooLarge, and OSError where the disk is full."""
        self._size += len(data)
        if self._size > self._limit:
            raise FileTooLarge(self._limit)
        for digest in (self._sha256, self._blake2b, self._md5):
            digest.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def finish(self) -> Spooled:
        """Close the file and say what it is."""
        self._file.close()
        return Spooled(
            self.path, self._size, self._md5.hexdigest(), self._sha256.hexdigest(), self._blake2b.hexdigest()
        )

    def discard(self) -> None:
        """Close and delete the file; harmless when it was published, and so moved away, or discarded before."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def spool_copy(source: Path, limit: int, progress: Callable[[int], object] = lambda _size: None) -> Spool:
    """Copy a local file into the spool, which leaves the source as it is; `progress` hears of each piece's size.

    Raises FileTooLarge and OSError, after which nothing is left in the spool.
    """
    spool = Spool(limit)
    try:
        with source.open("rb") as file:
            while piece := file.read(PIECE):
                spool.write(piece)
                progress(len(piece))
    except BaseException:
        spool.discard()
        raise
    return spool
