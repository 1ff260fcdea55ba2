"""The folders in which the workers of a gunicorn keep their counts: one for each server process. Imports no Django."""

import os
import shutil
import socket
import time
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's
FOLDER = "metrics"
FOREIGN_SECONDS = 7 * 86_400  # after which an untouched folder of another host is taken for left over


def of_this_process(data: Path) -> Path:
    """Named by host and process id: hosts may share a data directory, and containers share process ids."""
    return data / FOLDER / f"{socket.gethostname()}.{os.getpid()}"


def prepare(data: Path) -> None:
    """Make this process's folder, empty, and remove those of processes that have ended."""
    own = of_this_process(data)
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700, parents=True)
    for folder in (data / FOLDER).iterdir():
        if folder != own and _is_left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder: Path) -> bool:
    host, _, number = folder.name.rpartition(".")
    if not number.isascii() or not number.isdigit():
        return False  # not one of ours
    if host == socket.gethostname():
        return not _runs(int(number))
    try:
        touched = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
    except OSError:
        return False
    return time.time() - touched > FOREIGN_SECONDS


def _runs(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
