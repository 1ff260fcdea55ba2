"""Bringing a folder of distributions in, each file through the same checks as an upload."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from django.db import DatabaseError

from pkgindex.accounts.roles import Who
from pkgindex.audit.record import Actor
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import ServiceError
from pkgindex.storage import Room
from pkgindex.upload.examine import check_early, examine
from pkgindex.upload.services import check, publish
from pkgindex.upload.spool import spool_copy
from pkgindex.upload.standing import is_published, stand
from pkgindex.upload.submission import Submission

STORED, PRESENT, REFUSED = "stored", "already there", "refused"

# What was once a distribution is named in the summary too, so that nobody believes it came along.
SUFFIXES = (".whl", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip", ".egg", ".exe", ".msi", ".rpm", ".deb")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; `code` and `why` are empty unless it was refused."""

    path: Path
    result: str
    code: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Importer:
    """Where files go and in whose name; `who` is None for the operator. A dry run stores nothing."""

    index: IndexView
    who: Who | None
    actor: Actor
    dry_run: bool = False

    def take(self, path: Path, progress: Callable[[int], object] = lambda _size: None) -> Outcome:
        """Bring one file in and leave it where it is. Never raises for what is wrong with the file or the storage."""
        try:
            return Outcome(path, STORED if self._publish(path, progress) else PRESENT)
        except ServiceError as error:
            return Outcome(path, REFUSED, error.code, error.sentence)
        except OSError as error:
            return Outcome(path, REFUSED, "unavailable", f"The file could not be read or stored: {error}.")
        except DatabaseError as error:
            log.exception("The database failed at %s", path)
            return Outcome(path, REFUSED, "unavailable", f"The database failed: {error}")

    def _publish(self, path: Path, progress: Callable[[int], object]) -> bool:
        policy = self.index.policy
        submission = Submission.from_file(path.name)
        check_early(submission, policy)
        spool = spool_copy(path, policy.max_file_bytes, progress)
        try:
            spooled = spool.finish()
            standing = stand(submission.name, submission.version, submission.filename, spooled.sha256, self.index)
            if is_published(submission, spooled, self.index, standing):
                return False
            distribution = examine(submission, spooled, policy)
            if self.dry_run:
                return not check(distribution, spooled, self.index, self.who)
            room = replace(Room.of(self.who, self.index.slug), limited=False)
            return publish(distribution, spooled, self.index, self.who, self.actor, room, standing).created
        finally:
            spool.discard()


def distributions_in(folder: Path) -> Iterator[Path]:
    """The files below `folder` that are or once were distributions, in a stable order; linked folders are not entered.

    Raises OSError for a folder that cannot be listed.
    """
    for here, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            path = Path(here) / name
            if name.lower().endswith(SUFFIXES) and path.is_file():
                yield path


def _raise(error: OSError) -> None:
    raise error
