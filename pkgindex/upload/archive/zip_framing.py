"""One walk over a zip archive that leaves no second way to read it. Imports no Django.

Installers differ in where they look: Python's `zipfile` starts from the end and trusts the central directory, others
stream local headers from the start. A file that is accepted here is the same to both: local headers follow each other
from the first byte on without a gap, the central directory names exactly these, and the end record ends the file.
"""

from dataclasses import dataclass
from typing import BinaryIO

from pkgindex.upload.archive import paths, zip_records
from pkgindex.upload.archive.zip_records import Header, Totals, take
from pkgindex.upload.errors import ZipRefused

MAX_MEMBERS = 100_000  # about 50 MB while they are compared


@dataclass(frozen=True, slots=True)
class Entry:
    """A member: its header and where its bytes begin in the file."""

    header: Header
    at: int  # offset of the local header
    data_at: int  # offset of the compressed bytes


def walk(file: BinaryIO, length: int) -> dict[str, Entry]:
    """The members by name, in the order of their bytes, of an archive of `length` bytes. Raises ZipRefused.

    Reads headers only, whatever the members' sizes: a 1 GB wheel takes as long as a small one with as many members.
    """
    file.seek(0)
    signature, entries = _walk_locals(file, length)
    start = file.tell() - 4
    signature = _walk_central(file, signature, dict(entries))
    at = file.tell() - 4
    totals = Totals(len(entries), at - start, start)
    zip64 = signature == zip_records.END64
    if zip64:
        zip_records.end64(file, totals)
        _expect(file, zip_records.END64_LOCATOR)
        zip_records.end64_locator(file, at)
        signature = take(file, 4)
    if signature != zip_records.END:
        raise ZipRefused("unknown record signature")
    end_at = file.tell() - 4
    comment = zip_records.end(file, totals, zip64=zip64)
    if file.tell() != length:
        raise ZipRefused("trailing data")
    _check_tail(file, end_at, comment, zip64=zip64)
    return entries


def _expect(file: BinaryIO, signature: bytes) -> None:
    if take(file, 4) != signature:
        raise ZipRefused("unknown record signature")


def _walk_locals(file: BinaryIO, length: int) -> tuple[bytes, dict[str, Entry]]:
    """All local headers and, after them, the first signature that is another's."""
    entries: dict[str, Entry] = {}
    seen: set[str] = set()
    while (signature := take(file, 4)) == zip_records.LOCAL:
        at = file.tell() - 4
        header = zip_records.local_header(file)
        path = "/".join(paths.parts_of(header.name))
        if path in seen:
            raise ZipRefused("duplicate filename in local headers")
        if len(entries) >= MAX_MEMBERS:
            raise ZipRefused(f"it has more than {MAX_MEMBERS} members")
        seen.add(path)
        entries[header.name] = Entry(header, at, file.tell())
        if header.compressed > length - file.tell():
            raise ZipRefused("the file is truncated")
        file.seek(header.compressed, 1)
    if signature not in {zip_records.CENTRAL, zip_records.END, zip_records.END64}:
        raise ZipRefused("unknown record signature")
    return signature, entries


def _walk_central(file: BinaryIO, signature: bytes, missing: dict[str, Entry]) -> bytes:
    """Compare the central directory with the local headers; the signature after it. `missing` is used up."""
    seen: set[str] = set()
    while signature == zip_records.CENTRAL:
        header, offset = zip_records.central_header(file)
        entry = missing.pop(header.name, None)
        if entry is None:
            raise ZipRefused(
                "duplicate filename in central directory"
                if header.name in seen
                else "missing filename in local headers"
            )
        seen.add(header.name)
        if header != entry.header or offset != entry.at:
            raise ZipRefused("mismatched local header and central directory")
        if header.method == zip_records.STORED and header.compressed != header.size:
            raise ZipRefused("mismatched sizes of a stored member")
        signature = take(file, 4)
    if missing:
        raise ZipRefused("filename not in central directory")
    return signature


def _check_tail(file: BinaryIO, end_at: int, comment: bytes, *, zip64: bool) -> None:
    """Nothing may look like an end record to a program that searches for one from the end of the file."""
    if zip_records.END in comment or zip_records.END64_LOCATOR in comment:
        raise ZipRefused("an end record within its comment")
    if not zip64 and end_at >= zip_records.END64_LOCATOR_LENGTH:
        file.seek(end_at - zip_records.END64_LOCATOR_LENGTH)
        if take(file, 4) == zip_records.END64_LOCATOR:
            raise ZipRefused("a ZIP64 locator within the central directory")


def ends_like_zip(file: BinaryIO, length: int) -> bool:
    """True where a program that searches from the end would take the file for a zip archive with members."""
    window = min(length, zip_records.END_LENGTH + 0xFFFF)
    file.seek(length - window)
    tail = file.read(window)
    at = tail.rfind(zip_records.END)
    while at >= 0:
        if len(tail) - at >= zip_records.END_LENGTH and _has_directory(file, tail, at, length - window):
            return True
        at = tail.rfind(zip_records.END, 0, at)
    return False


def _has_directory(file: BinaryIO, tail: bytes, at: int, tail_at: int) -> bool:
    """True where a central directory, or the locator of a ZIP64 one, stands before the end record at `tail[at:]`."""
    if tail[max(0, at - zip_records.END64_LOCATOR_LENGTH) : at].startswith(zip_records.END64_LOCATOR):
        return True
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    central_at = tail_at + at - size
    if not size or central_at < 0:
        return False
    file.seek(central_at)
    return file.read(4) == zip_records.CENTRAL
