"""Runs one command and makes sure that it ends: `guard.py LOCK SECONDS TURN COMMAND…`. Standard library only.

The supervisor holds byte 0 of the file LOCK. Whichever way it ends, the kernel frees that byte (a POSIX record lock
belongs to one process and is not inherited), and every guard, which waits for it, ends its command. Each guard holds a
share of byte 1 until its command's whole process group is gone, so that the next supervisor knows when to begin.
A guard whose TURN is `first` also holds a share of byte 2; one whose turn is `last` waits for it before it ends its
command, which the others' commands need until they have ended.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

SUPERVISOR_BYTE, GUARDS_BYTE, FIRST_BYTE = 0, 1, 2
FIRST, LAST = "first", "last"
PR_SET_PDEATHSIG = 1  # prctl(2), Linux
ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
POLL = 0.02  # seconds
KILL_SECONDS = 1.0
SLACK_SECONDS = 1.0  # what a busy machine may add to either


def main(lock_path: str, grace: float, turn: str, command: list[str]) -> int:
    """Run the command until it ends or the supervisor does; `grace` is how many seconds it gets after SIGTERM.

    Returns the command's exit code as a shell would, and 0 where it was asked to end.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING | {signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a signal that is ignored, as this is by default, may not be kept
    lock = os.open(lock_path, os.O_RDWR)
    fcntl.lockf(lock, fcntl.LOCK_SH, 1, GUARDS_BYTE)
    if turn == FIRST:
        fcntl.lockf(lock, fcntl.LOCK_SH, 1, FIRST_BYTE)
    if supervisor_is_gone(lock):
        return 0
    # The command is the supervisor's own, and no thread runs yet that a fork could catch holding a lock.
    child = subprocess.Popen(command, process_group=0, preexec_fn=child_setup())  # noqa: PLW1509, S603
    threading.Thread(target=watch, args=(lock,), daemon=True).start()
    while child.poll() is None:
        if signal.sigwait(ENDING | {signal.SIGCHLD}) in ENDING:
            if turn == LAST:
                wait_for_the_first(lock, grace + KILL_SECONDS + SLACK_SECONDS)
            end(child, grace)
            return 0
    kill_group(child.pid)
    return 128 - child.returncode if child.returncode < 0 else child.returncode


def supervisor_is_gone(lock: int) -> bool:
    """Whether nobody holds the supervisor's byte, looked at without keeping it."""
    try:
        fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, SUPERVISOR_BYTE)
    except OSError:
        return False
    fcntl.lockf(lock, fcntl.LOCK_UN, 1, SUPERVISOR_BYTE)
    return True


def watch(lock: int) -> None:
    """Block until the supervisor is gone, then do what its SIGTERM would have done."""
    fcntl.lockf(lock, fcntl.LOCK_SH, 1, SUPERVISOR_BYTE)
    fcntl.lockf(lock, fcntl.LOCK_UN, 1, SUPERVISOR_BYTE)
    os.kill(os.getpid(), signal.SIGTERM)


def wait_for_the_first(lock: int, seconds: float) -> None:
    """Wait until every guard whose turn is `first` is done, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, FIRST_BYTE)
            return
        time.sleep(POLL)


def child_setup() -> Callable[[], None]:
    """What the child does between fork and exec: take signals again and, on Linux, die with this guard."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def setup() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    return setup


def end(child: "subprocess.Popen[bytes]", grace: float) -> None:
    """SIGTERM to the command, which knows best how to end its own children; SIGKILL to whatever of them is left."""
    child.terminate()
    deadline = time.monotonic() + grace
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(POLL)
    if child.returncode is None:
        child.kill()
        child.wait()
    kill_group(child.pid)


def kill_group(group: int) -> None:
    """End every process of the group that still runs, and wait for that as long as it can take."""
    deadline = time.monotonic() + KILL_SECONDS
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(group, signal.SIGKILL)
            time.sleep(POLL)


if __name__ == "__main__":
    status = main(sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4:])
    sys.stdout.flush()
    os._exit(status)  # the watching thread may still wait for the lock
