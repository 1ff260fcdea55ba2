"""What every contestant holds: small wheels made of nothing but their names, and a few that are large."""

import random
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.distributions import wheel, wheel_members, zip_of

SMALL, MANY = "small", "many"
MANY_FILES = 500
SIZES = {"16k": 16_000, "1m": 1_000_000, "100m": 100_000_000}  # bytes of one wheel
HUGE = {"ten-thousand": 10_000, "forty-three-thousand": 43_000}  # files of a project, listed and without bytes
ROOTS = {"names-100k": 100_000, "names-780k": 780_000}  # names of an index


@dataclass
class Corpus:
    """Wheels in a folder for each project, and the listings that are made without files."""

    folder: Path
    projects: dict[str, list[Path]] = field(default_factory=dict)
    huge: dict[str, int] = field(default_factory=dict)
    roots: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, filename: str, content: bytes) -> None:
        """Keep one file."""
        path = self.folder / name / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.projects.setdefault(name, []).append(path)

    def adopt(self, paths: list[Path]) -> None:
        """Take wheels that lie elsewhere."""
        for path in paths:
            project = path.name.split("-")[0].replace("_", "-").replace(".", "-").lower()
            folder = self.folder / project
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path.name)
            self.projects.setdefault(project, []).append(folder / path.name)

    def copy_into(self, folder: Path) -> None:
        """The files, as hard links, below another folder of the same disk."""
        for name, paths in self.projects.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            for path in paths:
                (folder / name / path.name).hardlink_to(path)


def make(folder: Path, *, listings: bool) -> Corpus:
    """The corpus; equal at every call. `listings`: with the huge ones."""
    corpus = Corpus(folder)
    corpus.add(SMALL, *wheel(SMALL, "1.0"))
    for number in range(MANY_FILES):
        corpus.add(MANY, *wheel(MANY, f"1.{number}"))
    for name, size in SIZES.items():
        corpus.add(f"file-{name}", *large(f"file-{name}", "1.0", size))
    if listings:
        corpus.huge, corpus.roots = dict(HUGE), dict(ROOTS)
    return corpus


def large(name: str, version: str, size: int) -> tuple[str, bytes]:
    """A wheel of about that many bytes, which no compression makes smaller."""
    module = name.replace("-", "_")
    noise = random.Random(f"{name} {version}").randbytes(max(1, size - 1_200))  # noqa: S311 - no secret
    members = wheel_members(name, version, files={f"{module}/__init__.py": b"", f"{module}/data.bin": noise})
    return f"{module}-{version}-py3-none-any.whl", zip_of(members, zipfile.ZIP_STORED)
