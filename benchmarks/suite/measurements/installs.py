# ruff: noqa: D102 - the base class says what each method does
"""A real application with its hundred dependencies, installed into an empty environment."""

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil

from benchmarks.suite.contestant import Contestant, NotOffered
from benchmarks.suite.environments import APPLICATION, uv
from benchmarks.suite.measurements.base import Figure, Measurement
from benchmarks.suite.servers import clean_environment, run

SECONDS = 300
OFTEN = ("ours", "ours+nginx", "nginx")  # these are compared with each other
TURNS = 100  # of uv: one takes a moment, and a tenth more or less than the next, where servers differ by hundredths
MEMORY, ROOM = Path("/dev/shm"), 6 << 30  # noqa: S108 - where folders lie in memory, and bytes that must be free
BEFORE = 8  # installations before the first round by those: after them the worker that they gather in has seen all


@dataclass(eq=False)
class InstallRow(Measurement):
    """One installer, with an empty cache or with what an installation right before, unmeasured, has left there.

    Nobody is asked for the first time: each server has been installed from before. Each installation has folders of
    its own, in memory where there is room: on a disk one takes half as long again as the next, whoever is asked. There
    they go after the round: ext4 passes over places of files that were deleted within a minute or five, one
    by one, and an installation right after such a removal took seven times as long.

    uv takes the packages in the order of a hash of where they come from. With one URL the largest is the last to be
    linked, while all other threads are idle, and everything takes a tenth longer than with another, whichever server
    is behind it. So each of many installations writes the same credentials in another way; a cache knows one URL.
    """

    installer: str
    warm: bool

    part = "install"
    unit = "s"
    lower_is_better = True

    def __post_init__(self) -> None:
        how = "warm cache" if self.warm else "cold"
        self.title = f"{self.installer} install {APPLICATION}, {how}"
        self.key = f"install {self.title}"
        if self.installer != "pip":
            self.turns, self.often = TURNS, OFTEN
        self._used: list[Path] = []
        self._number = 0
        # What is in memory is removed at once; see `clear` for the rest.
        self._memory = MEMORY if _room() >= ROOM else None

    def ready(self, one: Contestant) -> None:
        one.file_url(APPLICATION)  # says whether it has it
        if self.often and not self.warm:
            for _ in range(BEFORE if one.name in self.often else 1):
                self.once(one, 0)

    def once(self, one: Contestant, number: int) -> Figure:  # noqa: ARG002 - every round is alike
        # Beside each other: where on a disk a folder lies makes a difference.
        home = Path(tempfile.mkdtemp(prefix="install-", dir=self._memory or one.home.parent))
        self._used.append(home)
        self._number += 1
        url = index_url(one, self._number if one.name in self.often else 0)
        if self.warm:
            self._install(home / "before", home / "cache", url)
        seconds = self._install(home / "env", home / "cache", url)
        if self._memory:
            self.clear()
        return Figure(seconds, 1)

    def _install(self, env: Path, cache: Path, url: str) -> float:
        """How many seconds it took, without the making of the environment."""
        run([uv(), "venv", "--quiet", "--seed", "--python", sys.executable, env], seconds=60)
        command = self._command(env, cache, url)
        os.sync()  # else the files of the contestant before are written while this one installs
        begun = time.monotonic()
        run(command, seconds=SECONDS, env=clean_environment())
        return time.monotonic() - begun

    def clear(self) -> None:
        for folder in self._used:
            shutil.rmtree(folder, ignore_errors=True)
        self._used.clear()

    def _command(self, home: Path, cache: Path, url: str) -> list[str | Path]:
        python = home / "bin" / "python"
        more: list[str | Path] = ["--only-binary", ":all:", "--index-url", url, "--cache-dir", cache]
        if self.installer == "pip":
            return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *more, APPLICATION]
        return [uv(), "pip", "install", "--quiet", "--python", python, *more, APPLICATION]


def _room() -> int:
    """Bytes that folders in memory may take."""
    return min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) if MEMORY.is_dir() else 0


def index_url(one: Contestant, way: int = 0) -> str:
    """The index with the credentials in it; each `way` spells the same ones differently, nobody's where none are asked.

    Raises NotOffered where there is no index.
    """
    where = urlsplit(one.page_url(""))
    if one.page_url("") == "":
        raise NotOffered("not run")
    user, secret = one.auth or (("anyone", "x" * 64) if way else ("", ""))
    place = way % len(secret) if way else None
    # devpi's logins have brackets and quotation marks in them.
    spelt = "".join(f"%{ord(c):02X}" if at == place else quote(c, safe="") for at, c in enumerate(secret))
    login = f"{quote(user, safe='')}:{spelt}@" if user else ""
    return f"{where.scheme}://{login}{where.netloc}{where.path}"


def rows() -> list[InstallRow]:
    """Both installers, cold and warm."""
    return [InstallRow(installer, warm) for installer in ("uv pip", "pip") for warm in (False, True)]
