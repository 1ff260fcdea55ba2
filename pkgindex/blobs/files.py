"""Files that are whole or absent after a crash: temporary name, fsync, rename, fsync of the directory."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

MODE = 0o644  # a web server in front of us may run as another user; the folders above decide who comes near


def sync_directory(directory: Path) -> None:
    """Make the entries of a directory survive a power cut."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directories(directory: Path, top: Path) -> None:
    """Create `directory` and its parents down from `top`, each one synced into its parent."""
    missing = []
    current = directory
    while not current.is_dir() and current != top.parent:
        missing.append(current)
        current = current.parent
    for folder in reversed(missing):
        folder.mkdir(parents=True, exist_ok=True)
        sync_directory(folder.parent)


def write_durably(target: Path, chunks: Iterable[bytes], temporary: Path) -> None:
    """Write `chunks` to `target` through a temporary file in `temporary`, a folder of the same file system."""
    temporary.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=temporary)
    try:
        with os.fdopen(fd, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), MODE)
            os.fsync(file.fileno())
        publish(Path(name), target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def publish(source: Path, target: Path) -> None:
    """Rename a synced file to its final name and sync the folder; readers see all of it or nothing."""
    source.replace(target)
    sync_directory(target.parent)


def move_durably(source: Path, target: Path, temporary: Path) -> None:
    """Make the file at `source` the one at `target`; `source` is gone afterwards. Copies across file systems."""
    fd = os.open(source, os.O_RDONLY)
    try:
        os.fchmod(fd, MODE)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        publish(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with source.open("rb") as file:
            write_durably(target, iter(lambda: file.read(1 << 20), b""), temporary)
        source.unlink()


def free_bytes(directory: Path) -> int:
    """Bytes that may still be written on the file system of `directory`."""
    return shutil.disk_usage(directory).free
