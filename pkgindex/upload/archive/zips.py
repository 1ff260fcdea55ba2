"""Reading members of a zip archive whose framing was checked, with a bound on every read. Imports no Django."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pkgindex.upload.archive import zip_framing, zip_records
from pkgindex.upload.archive.tar_records import BLOCK, is_header
from pkgindex.upload.archive.zip_framing import Entry
from pkgindex.upload.errors import AmbiguousArchive, DecompressionBomb, ZipRefused

CHUNK = 64 << 10
BOMB_BYTES = 64 << 20  # unpacked; below it no ratio is suspicious
BOMB_RATIO = 50  # PyPI's


@dataclass(frozen=True, slots=True)
class ZipArchive:
    """An open archive that passed `open_zip`."""

    file: BinaryIO
    entries: dict[str, Entry]

    def read(self, name: str, limit: int) -> bytes:
        """A member's bytes, at most `limit`. Raises ZipRefused, KeyError."""
        return b"".join(self.chunks(name, limit))

    def lines(self, name: str, limit: int, longest: int = 1 << 20) -> Iterator[str]:
        """A member's lines with their ends, decoded as UTF-8, holding one line of `longest` bytes at most.

        Raises ZipRefused, KeyError.
        """
        rest = b""
        for chunk in self.chunks(name, limit):
            *complete, rest = (rest + chunk).split(b"\n")
            yield from (_text(line, name) + "\n" for line in complete)
            if len(rest) > longest:
                raise ZipRefused(f"{name} has a line of more than {longest} bytes")
        if rest:
            yield _text(rest, name)

    def chunks(self, name: str, limit: int) -> Iterator[bytes]:
        """A member's bytes as they unpack, checked against its declared size and CRC. Raises ZipRefused, KeyError."""
        entry = self.entries[name]
        header = entry.header
        if header.size > limit:
            raise ZipRefused(f"{name} is larger than {limit} bytes")
        crc, total = 0, 0
        for chunk in self._stored(entry) if header.method == zip_records.STORED else self._inflated(entry):
            crc, total = zlib.crc32(chunk, crc), total + len(chunk)
            if total > header.size:
                raise ZipRefused(f"{name} unpacks to more than its declared size")
            yield chunk
        if total != header.size or crc != header.crc:
            raise ZipRefused(f"{name} does not unpack to its declared size and checksum")

    def _stored(self, entry: Entry) -> Iterator[bytes]:
        self.file.seek(entry.data_at)
        left = entry.header.compressed
        while left:
            chunk = zip_records.take(self.file, min(left, CHUNK))
            left -= len(chunk)
            yield chunk

    def _inflated(self, entry: Entry) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed in self._stored(entry):
                data = packed
                while data and not inflate.eof:
                    yield inflate.decompress(data, CHUNK)
                    data = inflate.unconsumed_tail
                if data or inflate.unused_data:
                    raise ZipRefused(f"{entry.header.name} has bytes after its compressed data")
            # What the last call held back for want of room.
            while not inflate.eof and (chunk := inflate.decompress(b"", CHUNK)):
                yield chunk
        except zlib.error as error:
            raise ZipRefused(f"{entry.header.name} does not unpack") from error
        if not inflate.eof:
            raise ZipRefused(f"{entry.header.name} does not unpack completely")


def open_zip(file: BinaryIO, length: int) -> ZipArchive:
    """Check the framing and the sizes of an archive of `length` bytes.

    Only headers are read: members are held to their declared sizes when somebody unpacks them, by every installer, so
    the sum of these is what can be claimed of a disk. Raises ZipRefused, DecompressionBomb, AmbiguousArchive.
    """
    file.seek(0)
    if is_header(file.read(BLOCK)):
        raise AmbiguousArchive
    try:
        entries = zip_framing.walk(file, length)
    except struct.error as error:
        raise ZipRefused("a malformed record") from error
    unpacked = sum(entry.header.size for entry in entries.values())
    if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * length:
        raise DecompressionBomb(f"The archive unpacks to {unpacked} bytes, more than {BOMB_RATIO} times its size.")
    return ZipArchive(file, entries)


def _text(line: bytes, name: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise ZipRefused(f"{name} is not valid UTF-8") from error
