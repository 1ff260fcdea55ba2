"""A page in the making: runs of lines that lie in files, old or new, and the page that they make in order. No Django.

A block is what is written anew as a whole when something in it changed: the files of a release, or some hundred
projects of the list. A page of 43,000 files after an upload is one new block among copies of the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from pkgindex.simple.pages import Top
from pkgindex.simple.serialize import Format, head, separator, tail

PIECE = 256 << 10  # bytes in memory at a time

Beat = Callable[[], object]  # called now and then in long work, so that others know that somebody is at it


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines: `length` bytes from `offset` in `area`.

    `key` says which: a release's canonical version, or the first normalised name. `label` is the version as the page
    shows it, empty in the list of projects.
    """

    key: str
    label: str
    offset: int
    length: int
    area: IO[bytes]

    def read(self) -> bytes:
        """The lines."""
        self.area.seek(self.offset)
        return self.area.read(self.length)


@dataclass(frozen=True, slots=True)
class Held:
    """An older page whose blocks can be used again: whose they are, and the serial that they were written for."""

    owner: int
    serial: int
    blocks: list[Block]


class Area:
    """Where new blocks are written, one behind the other."""

    def __init__(self, file: IO[bytes], form: Format) -> None:
        self._file, self._separator = file, separator(form)
        self._at = 0

    def add(self, key: str, label: str, lines: bytes) -> Block:
        """Write a run of lines."""
        block = Block(key, label, self._at, len(lines), self._file)
        self._at += self._file.write(lines) + self._file.write(self._separator)
        return block


class Draft:
    """A page that can be put together: its top, and its blocks in their order. `owner` is the project or index."""

    def __init__(self, owner: int, top: Top, blocks: list[Block], form: Format) -> None:
        self.owner, self.top, self.blocks = owner, top, blocks
        self._head = head(top, [block.label for block in blocks], form)
        self._tail = tail(top, form)
        self._separator = separator(form)

    @property
    def size(self) -> int:
        """Bytes of the whole page."""
        between = len(self._separator) * max(0, len(self.blocks) - 1)
        return len(self._head) + sum(block.length for block in self.blocks) + between + len(self._tail)

    def pieces(self) -> Iterator[bytes]:
        """The page, a piece at a time; neighbours that lie together are copied together."""
        yield self._head
        for number, (area, start, end) in enumerate(self._runs()):
            if number and self._separator:
                yield self._separator
            area.seek(start)
            left = end - start
            while left:
                piece = area.read(min(PIECE, left))
                if not piece:
                    raise OSError("A page's lines have become shorter than they were.")
                left -= len(piece)
                yield piece
        yield self._tail

    def places(self) -> Iterator[tuple[str, str, int, int]]:
        """Where the page itself has its blocks: key, label, offset, length."""
        at = len(self._head)
        for block in self.blocks:
            yield block.key, block.label, at, block.length
            at += block.length + len(self._separator)

    def _runs(self) -> Iterator[tuple[IO[bytes], int, int]]:
        area: IO[bytes] | None = None
        start = end = 0
        for block in self.blocks:
            if area is block.area and block.offset == end + len(self._separator):
                end = block.offset + block.length
                continue
            if area is not None:
                yield area, start, end
            area, start, end = block.area, block.offset, block.offset + block.length
        if area is not None:
            yield area, start, end
