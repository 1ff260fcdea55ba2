"""What the small project replicates: a dictionary of bytes."""

import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from balancing.source import ALL, Wanted

files: dict[str, bytes] = {}
copies: dict[str, int] = {}


class MemorySource:
    """Wants as many copies of each file as `copies` says, else one on every node."""

    def wanted(self, digests: Sequence[str]) -> dict[str, Wanted]:
        return {
            digest: Wanted(digest, len(files[digest]), copies.get(digest, ALL)) for digest in digests if digest in files
        }

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
