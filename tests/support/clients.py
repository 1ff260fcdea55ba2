"""Real clients, each in an environment of its own, made on demand and kept for the next run."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "clients"
INSTALL_SECONDS = 240


def find_uv() -> str | None:
    """The `uv` binary: the environment variable UV names it, else it is on PATH."""
    named = os.environ.get("UV")
    return named if named and os.access(named, os.X_OK) else shutil.which("uv")


def client_environment(name: str, *requirements: str) -> Path:
    """The `bin` directory of an environment that holds `requirements` (default: the package `name`).

    It is made once under `.cache/clients/<name>` and made anew when the requirements change. Where it cannot be made
    the test is skipped with the installer's last line, or fails under CI. Run what is in it with
    `tests.support.servers.ended_environment()`, so that the client meets no configuration of this machine.
    """
    wanted = requirements or (name,)
    mark = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()
    home = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes side by side make it once
        if not (home / "ready").is_file() or (home / "ready").read_text() != mark:
            shutil.rmtree(home, ignore_errors=True)
            _make(home, wanted)
            (home / "ready").write_text(mark)
    return home / "bin"


def _make(home: Path, requirements: tuple[str, ...]) -> None:
    uv = find_uv()
    python = home / "bin" / "python"
    if uv:
        commands = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(home)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *requirements],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(home)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
        ]
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            _give_up(home, f"{command[0]} took more than {INSTALL_SECONDS} s")
        if done.returncode:
            _give_up(home, (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit {done.returncode}"])


def _give_up(home: Path, reason: object) -> None:
    sentence = f"the client environment {home.name} cannot be made: {reason}"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)
