"""credentials.json: the first administrator's secrets, for the owner of the data directory alone."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pkgindex.quickstart.private import write_private

CREDENTIALS_FILE = "credentials.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody needs to begin, and exactly what the file holds."""

    url: str
    username: str
    password: str
    token: str


def read(path: Path) -> Credentials | None:
    """The credentials in a file; None where it is absent or somebody made something else of it."""
    try:
        return Credentials(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(path: Path, credentials: Credentials) -> None:
    """Replace the file, whole or not at all; mode 0600."""
    write_private(path, json.dumps(asdict(credentials), indent=2) + "\n")


def follow_url(directory: Path, url: str) -> None:
    """Keep the file's `url` true after a start on another port."""
    path = directory / CREDENTIALS_FILE
    held = read(path)
    if held is not None and held.url != url:
        write(path, replace(held, url=url))
