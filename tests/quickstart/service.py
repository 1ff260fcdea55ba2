"""`manage.py up` as a person runs it: a process of its own, and a way to find everything it started."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx
import psutil

from tests.support.servers import ended_environment, free_port

ROOT = Path(__file__).resolve().parents[2]
OURS = {"PKGINDEX_DATA", "SECRET_KEY", "REDIS_URL", "DATABASE_URL", "DJANGO_SETTINGS_MODULE"}


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what this test process was given for itself."""
    return {name: value for name, value in ended_environment().items() if name not in OURS} | more


def run_up(*arguments: str, seconds: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it where it is expected to end by itself."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "up", *arguments],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def processes_of(directory: Path) -> list[psutil.Process]:
    """Every running process that was started with this data directory, however it is related to us now."""
    found = []
    for process in psutil.process_iter():
        try:
            given = process.environ().get("PKGINDEX_DATA")
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if given == str(directory) or str(directory) in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


class Service:
    """A started `up`; `with` ends it by SIGKILL at the latest, and what it left by pid."""

    def __init__(self, directory: Path, *arguments: str, port: int | None = None) -> None:
        self.directory, self.port = directory, port or free_port()
        self.log_path = directory.parent / f"{directory.name}-{self.port}-{time.monotonic_ns()}.log"
        command = [sys.executable, str(ROOT / "manage.py"), "up", "--data", str(directory), "--port", str(self.port)]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", "1", "--nodes", "0", *arguments],
                env=clean_environment(),
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if not self.is_gone(10):
            for process in processes_of(self.directory):
                process.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_ready(self, seconds: float = 60) -> "Service":
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if "pkgindex is ready" in self.log:
                return self
            time.sleep(0.05)
        raise AssertionError(f"not ready:\n{self.log}")

    def get(self, path: str, **more: object) -> httpx.Response:
        return httpx.get(self.url + path, timeout=10, trust_env=False, **more)

    def part(self, *words: str) -> psutil.Process:
        """The oldest process whose command line holds these words, guards and shells left aside."""
        for process in sorted(processes_of(self.directory), key=lambda each: each.create_time()):
            line = process.cmdline()
            if all(word in line for word in words) and not any("guard.py" in part for part in line):
                return process
        raise AssertionError(f"no process runs {words}")

    def guard(self, *words: str) -> psutil.Process:
        """The guard of the part whose command line holds these words."""
        for process in processes_of(self.directory):
            line = process.cmdline()
            if all(word in line for word in words) and any("guard.py" in part for part in line):
                return process
        raise AssertionError(f"no guard runs {words}")

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 20) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def is_gone(self, seconds: float) -> bool:
        """Whether no process of it is left within that time."""
        end = time.monotonic() + seconds
        while processes_of(self.directory):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True


def mode(path: Path) -> int:
    """The permission bits."""
    return path.stat().st_mode & 0o777
