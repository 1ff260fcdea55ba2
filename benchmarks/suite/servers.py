"""Server processes of contestants: each in a process group of its own, waited for, ended by its id."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from tests.support.servers import free_port

__all__ = ["Server", "clean_environment", "free_port", "run"]

START_SECONDS = 60.0
OUTSIDE = ("PIP_", "UV_", "TWINE_", "PYTEST_", "PKGINDEX_", "DJANGO_", "DATABASE_", "PYPIRON_", "DEVPI")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what would lead a server or an installer to this machine's own configuration."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OUTSIDE)}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"} | more


def run(command: Sequence[str | Path], *, seconds: float = 300, **more: object) -> str:
    """What a command printed; raises RuntimeError with its last words where it fails or takes too long."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(  # noqa: S603 - the callers' own words
            words, capture_output=True, text=True, timeout=seconds, check=False, **more
        )  # type: ignore[call-overload] # keywords of subprocess.run
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{words[0]} took more than {seconds:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise RuntimeError(f"{Path(words[0]).name} ended with {done.returncode}: {said[-600:]}")
    return str(done.stdout)


class Server:
    """A process that listens on a port of loopback."""

    def __init__(self, command: Sequence[str | Path], port: int, log: Path, environment: dict[str, str]) -> None:
        self.port, self.log = port, log
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the contestants' own words
                [str(word) for word in command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True,
                cwd=log.parent if "PYTHONPATH" not in environment else environment["PYTHONPATH"].split(":")[0],
            )  # fmt: skip

    def wait(self, path: str = "/", seconds: float = START_SECONDS) -> "Server":
        """Return when it answers HTTP at all; raises RuntimeError with the end of its log."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)
                return self
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"it did not start: {self.log.read_text(errors='replace')[-600:]}")

    def processes(self) -> list[psutil.Process]:
        """The process and all that it started."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def resident(self) -> int:
        """Bytes of memory of all its processes."""
        total = 0
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):
                total += each.memory_info().rss
        return total

    def cpu(self) -> float:
        """Seconds of processor time that all its processes have taken."""
        total = 0.0
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
        return total

    def kill(self) -> None:
        """End the whole group: asked first, made to after five seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
