"""A gzip stream read forwards, with a bound on what it may unpack to (RFC 1952). Imports no Django."""

import zlib
from typing import BinaryIO

from pkgindex.upload.errors import DecompressionBomb, TarRefused

CHUNK = 64 << 10
MAX_GZIP_MEMBERS = 100_000
MAGIC = b"\x1f\x8b"


class Gunzip:
    """The unpacked bytes of a gzip file; checks its CRC, its length and that nothing but zeros follows it.

    A file of several gzip members, as `bgzip` writes, is their concatenation, as for every other reader.
    """

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._packed = file.read(CHUNK)
        self._ready, self._at = b"", 0  # unpacked bytes, and how many of them were handed out
        self._total = 0
        self._members = 0
        self._inflate = self._next_member()

    def read(self, length: int) -> bytes:
        """The next `length` bytes; fewer only where the stream ends. Raises TarRefused, DecompressionBomb."""
        pieces, missing = [], length
        while missing and self._has_ready():
            piece = self._ready[self._at : self._at + missing]
            self._at += len(piece)
            missing -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def skip(self, length: int) -> int:
        """Go past `length` bytes; how many there were. Raises TarRefused, DecompressionBomb."""
        missing = length
        while missing and self._has_ready():
            step = min(missing, len(self._ready) - self._at)
            self._at += step
            missing -= step
        return length - missing

    def _has_ready(self) -> bool:
        """Unpack the next piece where the last is used up; False at the end."""
        while self._at == len(self._ready):
            if self._inflate.eof:
                if not self._next_packed():
                    return False
                self._inflate = self._next_member()
            if not self._packed:
                self._packed = self._file.read(CHUNK)
            self._ready, self._at = self._unpack(), 0
        return True

    def _unpack(self) -> bytes:
        at_end = not self._packed
        try:
            ready = self._inflate.decompress(self._packed, CHUNK)
        except zlib.error as error:
            raise TarRefused("the gzip stream is broken") from error
        self._packed = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        if at_end and not ready and not self._inflate.eof:
            raise TarRefused("the gzip stream is truncated")
        self._total += len(ready)
        if self._total > self._limit:
            raise DecompressionBomb(f"The archive unpacks to more than {self._limit} bytes.")
        return ready

    def _next_packed(self) -> bool:
        """Go past the zeros that tape blocks leave after a member; True where something else follows."""
        while True:
            self._packed = self._packed.lstrip(b"\x00")
            if self._packed:
                return True
            self._packed = self._file.read(CHUNK)
            if not self._packed:
                return False

    def _next_member(self) -> "zlib._Decompress":
        self._members += 1
        if self._members > MAX_GZIP_MEMBERS:
            raise TarRefused(f"it has more than {MAX_GZIP_MEMBERS} gzip members")
        if len(self._packed) < len(MAGIC):
            self._packed += self._file.read(CHUNK)
        if not self._packed.startswith(MAGIC):
            raise TarRefused("it is not a gzip stream, or other data follows it")
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
