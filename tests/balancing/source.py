"""What the small project replicates: a dictionary of bytes."""

import io
from collections.abc import Iterator
from typing import BinaryIO

from balancing.source import ALL, Wanted

files: dict[str, bytes] = {}
copies: dict[str, int] = {}


class MemorySource:
    """Wants as many copies of each file as `copies` says, else one on every node."""

    def wanted(self, digest: str) -> Wanted | None:
        content = files.get(digest)
        return None if content is None else Wanted(digest, len(content), copies.get(digest, ALL))

    def every(self, after: str = "") -> Iterator[Wanted]:
        for digest in sorted(files):
            if digest > after:
                yield Wanted(digest, len(files[digest]), copies.get(digest, ALL))

    def open(self, digest: str) -> BinaryIO:
        if digest not in files:
            raise FileNotFoundError(digest)
        return io.BytesIO(files[digest])


def source() -> MemorySource:
    return MemorySource()
