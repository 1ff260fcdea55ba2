"""Throwaway environments: each peer is installed once, from the configured registry, for the Python that runs this.

They lie in `.cache/benchmarks/<version of Python>/<name>`.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

from benchmarks.suite.servers import run

ROOT = Path(__file__).resolve().parents[2]
# What an application needs depends on the very release: a package may want 3.11.5 or newer.
CACHE = ROOT / ".cache" / "benchmarks" / platform.python_version()
INSTALL_SECONDS = 300
APPLICATION = "jupyterlab"  # a real application that needs about a hundred packages


def installed(name: str, *requirements: str) -> Path:
    """The folder of the environment's programs, made at the first call.

    Raises RuntimeError where it cannot be made.
    """
    home, wanted = CACHE / name, requirements or (name,)
    mark = home / "installed"
    if not mark.is_file() or mark.read_text() != "\n".join(wanted):
        shutil.rmtree(home, ignore_errors=True)
        run([uv(), "venv", "--quiet", "--python", sys.executable, home], seconds=60)
        run([uv(), "pip", "install", "--quiet", "--python", home / "bin/python", *wanted], seconds=INSTALL_SECONDS)
        mark.write_text("\n".join(wanted))
    return home / "bin"


def version(name: str) -> str:
    """The version of a package in its environment; empty where it is not there."""
    stem = name.replace("-", "_").lower()
    found = [path.name for path in (CACHE / name).glob("lib/python*/site-packages/*.dist-info")]
    versions = [each[len(stem) + 1 : -len(".dist-info")] for each in found if each.lower().startswith(f"{stem}-")]
    return versions[0] if versions else ""


def application_wheels() -> list[Path]:
    """The wheels of a real application and of all that it needs, fetched once."""
    folder = CACHE / "wheels"
    if not (folder / "complete").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", folder]
        run([*command, APPLICATION], seconds=600)
        (folder / "complete").touch()
    return sorted(folder.glob("*.whl"))


def uv() -> str:
    """The uv program: named by UV, beside this interpreter, or on PATH. Raises RuntimeError."""
    beside = Path(sys.executable).with_name("uv")
    found = os.environ.get("UV") or (str(beside) if beside.exists() else shutil.which("uv"))
    if not found:
        raise RuntimeError("uv is not installed: `make venv` brings it")
    return found
