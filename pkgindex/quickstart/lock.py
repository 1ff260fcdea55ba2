"""One supervisor for one data directory, and none before the last one's processes are gone."""

import fcntl
import os
import time
from pathlib import Path

from django.core.management.base import CommandError

from pkgindex.quickstart.guard import GUARDS_BYTE, SUPERVISOR_BYTE

LOCK_FILE = "supervisor.lock"
WAIT_SECONDS = 20.0
LOOK_SECONDS = 1.0  # a guard looks at the supervisor's byte for a moment; a supervisor keeps it
PAUSE = 0.05


class SupervisorLock:
    """Byte 0 of `DIR/supervisor.lock`, held for the supervisor's life; `guard.py` has the whole protocol.

    A POSIX record lock is lost when its process closes any descriptor of the file, so it is opened only here.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / LOCK_FILE
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self, wait_seconds: float = WAIT_SECONDS) -> None:
        """Become the supervisor once the guards of the last one are done.

        The byte is given back between tries: guards that have not yet noticed the last supervisor's end need it.
        Raises CommandError where another supervisor runs or the guards are not done in time.
        """
        deadline = time.monotonic() + wait_seconds
        self._take_own_byte()
        while not self._try(GUARDS_BYTE):
            self.release()
            if time.monotonic() > deadline:
                raise CommandError(f"Processes of an earlier start still use {self.path.parent}; end them first.")
            time.sleep(PAUSE)
            self._take_own_byte()
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, GUARDS_BYTE)
        os.truncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go, which tells every guard to end its command."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, SUPERVISOR_BYTE)

    def _take_own_byte(self) -> None:
        deadline = time.monotonic() + LOOK_SECONDS
        while not self._try(SUPERVISOR_BYTE):
            if time.monotonic() > deadline:
                pid = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
                raise CommandError(f"pkgindex is already running on {self.path.parent}, as process {pid}.")
            time.sleep(PAUSE)

    def _try(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:
            return False
        return True
