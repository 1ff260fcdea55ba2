"""The guard of one command, with commands that do not want to end."""

import signal
import subprocess
import sys
import time

import psutil
import pytest
from django.core.management.base import CommandError

from pkgindex.quickstart import guard
from pkgindex.quickstart.lock import SupervisorLock

GRACE = "0.5"
SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
# Ignores SIGTERM, as its child does; each says its process id in one write, which a pipe keeps whole.
STUBBORN = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork(); "
    "os.write(1, b'%d\\n' % os.getpid()); time.sleep(60)"
)
# Says, when it is asked to end, whether a process is there.
ASKS_FOR = """
import signal, time, psutil
def end(*_):
    print(psutil.pid_exists({pid}))
    raise SystemExit
signal.signal(signal.SIGTERM, end)
print("on", flush=True)
time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path):
    """Held, as by a running supervisor."""
    taken = SupervisorLock(tmp_path)
    taken.take(1)
    yield taken
    taken.release()


def start(lock: SupervisorLock, *command: str, turn: str = guard.FIRST) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-E", "-S", guard.__file__, str(lock.path), GRACE, turn, *command],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [("0", 0), ("7", 7), ("__import__('os').kill(__import__('os').getpid(), 15)", 128 + 15)],
)
def test_exit_code_is_the_command_s(lock, code, expected):
    """A command that ends by itself gives its guard its exit code, or 128 and the signal's number."""
    with start(lock, sys.executable, "-c", f"raise SystemExit({code})") as guarding:
        assert guarding.wait(10) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, None])
def test_whole_group_ends(lock, number):
    """A signal to the guard, or the loss of the supervisor, ends the command and its children, though they refuse."""
    with start(lock, sys.executable, "-c", STUBBORN) as guarding:
        family = [psutil.Process(int(guarding.stdout.readline())) for _ in range(2)]
        started = time.monotonic()
        if number is None:
            lock.release()
        else:
            guarding.send_signal(number)

        assert guarding.wait(10) == 0
        assert time.monotonic() - started < 5
        assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_killed_guard_takes_its_command_along(lock):
    """SIGKILL to the guard leaves no command behind."""
    with start(lock, sys.executable, "-c", SLEEPER) as guarding:
        command = psutil.Process(int(guarding.stdout.readline()))
        guarding.kill()

        psutil.wait_procs([command], timeout=5)
        assert not command.is_running() or command.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("seconds", [0.3, 60])
def test_last_in_turn_ends_after_the_others(lock, seconds):
    """What others need until their end is asked to end when they are gone, though they had to be killed."""
    slow = (
        f"import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(time.sleep({seconds}))); "
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    with start(lock, sys.executable, "-c", slow) as needing:
        asks = ASKS_FOR.format(pid=int(needing.stdout.readline()))
        with start(lock, sys.executable, "-c", asks, turn=guard.LAST) as needed:
            needed.stdout.readline()
            lock.release()

            assert (needing.wait(10), needed.wait(10)) == (0, 0)
            assert needed.stdout.read() == "False\n"


def test_nothing_starts_once_the_supervisor_is_gone(lock, tmp_path):
    """A guard that comes too late runs nothing."""
    lock.release()

    with start(lock, "touch", str(tmp_path / "ran")) as guarding:
        assert guarding.wait(10) == 0
    assert not (tmp_path / "ran").exists()


def test_command_meets_signals_as_usual(lock):
    """The guard's own blocked signals are not handed down."""
    code = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with start(lock, sys.executable, "-c", code) as guarding:
        assert guarding.stdout.read().strip() == "set()"


def hold(directory) -> "subprocess.Popen[str]":
    """Another process that is the supervisor until its standard input ends."""
    code = (
        "import sys; from pathlib import Path; from pkgindex.quickstart.lock import SupervisorLock; "
        f"lock = SupervisorLock(Path({str(directory)!r})); lock.take(); print('held', flush=True); sys.stdin.read()"
    )
    held = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert held.stdout.readline() == "held\n"
    return held


def test_second_supervisor_is_refused_at_once(tmp_path):
    """It learns the first one's process and does not wait for it to end."""
    with hold(tmp_path) as first:
        started = time.monotonic()
        with pytest.raises(CommandError, match=f"already running on {tmp_path}, as process {first.pid}"):
            SupervisorLock(tmp_path).take()
        assert time.monotonic() - started < 5
        first.stdin.close()


def test_next_supervisor_waits_for_guards_of_a_killed_one(tmp_path):
    """It begins only after the last guard has ended its command, and gives up when that takes too long."""
    with hold(tmp_path) as first:
        lock = SupervisorLock(tmp_path)
        with start(lock, sys.executable, "-c", STUBBORN) as guarding:
            guarding.stdout.readline()
            first.kill()
            first.wait(5)

            with pytest.raises(CommandError, match="Processes of an earlier start"):
                lock.take(0.1)
            lock.take(10)
            assert guarding.wait(5) == 0
            lock.release()
