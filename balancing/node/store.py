"""Files of a mirror node by their SHA-256: a file that can be seen is whole, synced and what its name says.

A crash at any point leaves either the file or an unfinished one in `tmp`, which nobody reads. Every writer holds a lock
on its unfinished file, so whatever is not locked there belongs to nobody and is swept away; the kernel drops the
locks of a process that was killed.
"""

import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

from balancing.backends import Page

DIGEST = re.compile(r"[0-9a-f]{64}")
BLOCK = 1 << 20
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
MODE = 0o644
MOST_ITEMS = 1000
PROBE = b"This node sends files.\n"


class StoreError(Exception):
    """Something is wrong with a file; `code` says what to programs, the message says it to people."""

    code = "store_error"


class NoSuchFile(StoreError):
    """The node has no such file."""

    code = "not_found"


class Mismatch(StoreError):
    """The bytes that arrived are not those that were announced."""

    code = "digest_mismatch"


class Incomplete(StoreError):
    """The sender stopped early."""

    code = "incomplete"


class DiskFull(StoreError):
    """There is no room for the file."""

    code = "disk_full"


class Reader(Protocol):
    """Where the bytes of a new file come from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Store:
    """Files under `root` as `aa/bb/<rest of the digest>`. `reserve` bytes of the disk are never filled."""

    def __init__(self, root: Path, *, reserve: int = 0) -> None:
        self.root = root
        self.reserve = reserve
        self.temporary = root / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.sweep()
        probe = root / "probe"
        if not probe.is_file() or probe.read_bytes() != PROBE:
            probe.write_bytes(PROBE)

    def put(self, digest: str, size: int, source: Reader) -> None:
        """Store the next `size` bytes of `source`, which must have that SHA-256; a file that exists is renewed.

        Raises DiskFull before anything is read where it can be known, else in the middle; Incomplete; Mismatch.
        """
        target = self._path(digest)
        if size > self.free():
            raise DiskFull(f"The node has {self.free()} bytes free and the file has {size}.")
        name, file = self._unfinished()
        try:
            with file:
                self._receive(file, digest, size, source)
                os.fchmod(file.fileno(), MODE)
                os.fsync(file.fileno())
                self._make_folders(target.parent)
                name.replace(target)
            _sync(target.parent)
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull("The node's disk became full while the file arrived.") from error
            raise
        finally:
            name.unlink(missing_ok=True)

    def _receive(self, file: BinaryIO, digest: str, size: int, source: Reader) -> None:
        hashed, left = sha256(), size
        while left:
            block = source.read(min(BLOCK, left))
            if not block:
                raise Incomplete(f"The sender stopped {left} bytes before the end.")
            hashed.update(block)
            file.write(block)
            left -= len(block)
        if hashed.hexdigest() != digest:
            raise Mismatch(f"The bytes that arrived have the SHA-256 {hashed.hexdigest()}.")
        file.flush()

    def open(self, digest: str) -> tuple[BinaryIO, int]:
        """The file for reading, and its size. Raises NoSuchFile."""
        try:
            file = self._path(digest).open("rb")
        except FileNotFoundError:
            raise NoSuchFile("The node has no such file.") from None
        return file, os.fstat(file.fileno()).st_size

    def open_probe(self) -> tuple[BinaryIO, int]:
        """A file that is there for probes, which read it the way in which files are read. Raises NoSuchFile."""
        try:
            return (self.root / "probe").open("rb"), len(PROBE)
        except FileNotFoundError:
            raise NoSuchFile("The node's folder is gone.") from None

    def delete(self, digest: str) -> bool:
        """Remove a file; transfers that are reading it go on. False where there was none."""
        path = self._path(digest)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        _sync(path.parent)
        return True

    def scrub(self, digest: str) -> bool:
        """Read a file again; one whose bytes have changed is removed and False is returned. Raises NoSuchFile."""
        file, _ = self.open(digest)
        with file:
            hashed = sha256()
            while block := file.read(BLOCK):
                hashed.update(block)
            if hashed.hexdigest() == digest:
                return True
            # A good copy may have taken its place meanwhile: only the file that was read is removed.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), self._path(digest).stat()):
                    self.delete(digest)
        return False

    def inventory(self, after: str = "", limit: int = MOST_ITEMS) -> Page:
        """Up to `limit` files with their sizes, behind the digest `after`."""
        found: list[tuple[str, int]] = []
        for digest, path in self._walk(after):
            if len(found) == max(1, min(limit, MOST_ITEMS)):
                return Page(tuple(found), found[-1][0])
            with suppress(FileNotFoundError):  # deleted just now
                found.append((digest, path.stat().st_size))
        return Page(tuple(found), None)

    def free(self) -> int:
        """Bytes that may still be stored."""
        room = os.statvfs(self.root)
        return max(0, room.f_bavail * room.f_frsize - self.reserve)

    def sweep(self) -> int:
        """Remove the unfinished files of writers that are gone; returns how many."""
        removed = 0
        for path in self.temporary.iterdir():
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                removed += 1
        return removed

    def _unfinished(self) -> tuple[Path, BinaryIO]:
        """A new locked file in `tmp`; the caller closes and removes it."""
        while True:
            fd, text = tempfile.mkstemp(dir=self.temporary)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return Path(text), os.fdopen(fd, "wb")
            os.close(fd)  # swept between its creation and the lock

    def _walk(self, after: str) -> Iterator[tuple[str, Path]]:
        for first in _names(self.root, 2):
            if first < after[:2]:
                continue
            for second in _names(self.root / first, 2):
                if first + second < after[:4]:
                    continue
                folder = self.root / first / second
                for rest in _names(folder, 60):
                    digest = first + second + rest
                    if digest > after and DIGEST.fullmatch(digest):
                        yield digest, folder / rest

    def _path(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise NoSuchFile("Files are named by 64 hexadecimal digits.")
        return self.root / digest[:2] / digest[2:4] / digest[4:]

    def _make_folders(self, folder: Path) -> None:
        for each in (folder.parent, folder):
            if not each.is_dir():
                each.mkdir(exist_ok=True)
                _sync(each.parent)


def _names(folder: Path, length: int) -> list[str]:
    with suppress(FileNotFoundError):
        return sorted(path.name for path in folder.iterdir() if len(path.name) == length)
    return []


def _sync(folder: Path) -> None:
    """Make the folder's entries survive a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
