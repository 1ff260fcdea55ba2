"""What is replicated, as the project tells it: named by `BALANCING["SOURCE"]`, so that this app imports no project."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from balancing import conf

ALL = -1  # as many copies as there are nodes


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file and how many copies it should have; `ALL` for one on every node. `size` is bytes."""

    digest: str
    size: int
    copies: int


class Source(Protocol):
    """Where the originals are. Digests are SHA-256 in 64 lower-case hex digits."""

    def wanted(self, digests: Sequence[str]) -> Mapping[str, Wanted]:
        """What is wanted of these files now, at most 500; one that is left out is wanted nowhere, and its copies go."""

    def every(self, after: str = "") -> Iterator[Wanted]:
        """Every file that is wanted anywhere, by ascending digest, from behind `after`; constant memory."""

    def open(self, digest: str) -> BinaryIO:
        """The original's bytes. Raises OSError where they cannot be read."""


def get() -> Source:
    """The project's source. Raises ImproperlyConfigured where none is named."""
    path = conf.get().source
    if not path:
        raise ImproperlyConfigured("BALANCING has no SOURCE: nothing says what to replicate.")
    made: Source = import_string(path)()
    return made
