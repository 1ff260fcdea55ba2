"""Files that are whole or absent after a crash: temporary name, fsync, rename, fsync of the directory."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

SETTLING = 60.0  # seconds without a change after which a folder is on the disk, whoever made it
MOST_SETTLED = 1_000
_settled: set[Path] = set()  # folders that this process has seen on the disk; the first level, above all

MODE = 0o644  # a web server in front of us may run as another user; the folders above decide who comes near


def sync_directory(directory: Path) -> None:
    """Make the entries of a directory survive a power cut."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(target: Path, chunks: Iterable[bytes], temporary: Path) -> None:
    """Write `chunks` to `target` through a temporary file in `temporary`, a folder of the same file system."""
    name = write_aside(chunks, temporary)
    try:
        sync_file(name)
        publish(name, target)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def write_aside(chunks: Iterable[bytes], temporary: Path) -> Path:
    """Write `chunks` to a new file in `temporary`, which `sync_file` may make durable; its path."""
    temporary.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=temporary)
    try:
        with os.fdopen(fd, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def sync_file(path: Path) -> None:
    """Make a finished file's bytes and its mode survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(fd, MODE)
        os.fsync(fd)
    finally:
        os.close(fd)


def publish(source: Path, target: Path) -> None:
    """Rename a synced file to its final name and sync the folder; readers see all of it or nothing."""
    source.replace(target)
    sync_directory(target.parent)


def move_durably(moves: Sequence[tuple[Path, Path]], top: Path, temporary: Path) -> None:
    """Make each file at the first path the one at the second, below `top`; the sources are gone afterwards.

    All files are synced before any gets its name, and each folder once, after all have theirs: a journalling file
    system then writes its journal for several at a time. Copies through `temporary` across file systems.
    """
    for source, _ in moves:
        sync_file(source)
    changed: dict[Path, None] = {}
    unsettled: set[Path] = set()
    for source, target in moves:
        unsettled |= _make_directories(target.parent, top)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_durably(source, target, temporary)
        changed[target.parent] = None
    for folder in changed | dict.fromkeys(folder.parent for folder in unsettled):
        sync_directory(folder)
    if len(_settled) > MOST_SETTLED:
        _settled.clear()
    # Not the last folders of the paths: they are many, and each is met again seldom.
    _settled.update(unsettled - changed.keys())


def _make_directories(directory: Path, top: Path) -> set[Path]:
    """Create `directory` and its parents from `top` on; those that a power cut could still take away.

    One that is there may be another upload's, which has not synced it yet.
    """
    above = [folder for folder in directory.parents if folder == top or top in folder.parents]
    found = set()
    for folder in (*reversed(above), directory):
        try:
            changed = folder.stat().st_ctime
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
            found.add(folder)
        else:
            if folder not in _settled and time.time() - changed < SETTLING:
                found.add(folder)
    return found


def _copy_durably(source: Path, target: Path, temporary: Path) -> None:
    with source.open("rb") as file:
        write_durably(target, iter(lambda: file.read(1 << 20), b""), temporary)
    source.unlink()


def free_bytes(directory: Path) -> int:
    """Bytes that may still be written on the file system of `directory`."""
    return shutil.disk_usage(directory).free
