"""The records of a zip archive (PKWARE's APPNOTE.TXT 6.3, section 4.3) as values. Imports no Django."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pkgindex.upload.archive import paths
from pkgindex.upload.errors import ZipRefused

LOCAL = b"PK\x03\x04"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
END64_LOCATOR = b"PK\x06\x07"
END_LENGTH = 22  # bytes, without a comment
END64_LOCATOR_LENGTH = 20

STORED = 0
DEFLATED = 8

_LOCAL_BODY = struct.Struct("<HHHHHLLLHH")
_CENTRAL_BODY = struct.Struct("<BBHHHHHLLLHHHHHLL")
_END_BODY = struct.Struct("<HHHHLLH")
_END64_BODY = struct.Struct("<QHHLLQQQQ")
_LOCATOR_BODY = struct.Struct("<LQL")
_EXTRA_HEAD = struct.Struct("<HH")

_ZIP64 = 0x0001
_UNICODE_PATH = 0x7075
_FULL16 = 0xFFFF
_FULL32 = 0xFFFF_FFFF

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_DESCRIPTOR = 0x0008
_UTF8 = 0x0800
_ALLOWED_FLAGS = 0x0006 | _UTF8  # how hard deflate tried, and that the name is UTF-8
_NEWEST_VERSION = 63  # the newest "version needed to extract" that Python's zipfile takes
_SYMLINK = 0xA


@dataclass(frozen=True, slots=True)
class Header:
    """What a local header and its twin in the central directory must agree on."""

    name: str
    method: int
    crc: int
    compressed: int  # bytes
    size: int  # bytes, unpacked


@dataclass(frozen=True, slots=True)
class Totals:
    """What an end record says of the central directory; sizes and offsets in bytes."""

    records: int
    size: int
    offset: int


def take(file: BinaryIO, length: int) -> bytes:
    """Exactly the next `length` bytes. Raises ZipRefused where the file ends before."""
    data = file.read(length)
    if len(data) != length:
        raise ZipRefused("the file is truncated")
    return data


def local_header(file: BinaryIO) -> Header:
    """The local file header whose signature was just read. Raises ZipRefused."""
    _, flags, method, _, _, crc, compressed, size, name_length, extra_length = _LOCAL_BODY.unpack(
        take(file, _LOCAL_BODY.size)
    )
    _check_flags(flags)
    _check_method(method)
    name = _name(take(file, name_length), flags)
    extras = _extras(take(file, extra_length), name)
    size, compressed = _zip64(extras, size, compressed)
    return Header(name, method, crc, compressed, size)


def central_header(file: BinaryIO) -> tuple[Header, int]:
    """The central directory's header whose signature was just read, and the offset it gives. Raises ZipRefused."""
    (
        _, _, needed, flags, method, _, _, crc, compressed, size, name_length, extra_length, comment_length, disk, _,
        attributes, offset,
    ) = _CENTRAL_BODY.unpack(take(file, _CENTRAL_BODY.size))  # fmt: skip
    _check_flags(flags)
    _check_method(method)
    if comment_length:
        raise ZipRefused("comment in central directory")
    if disk:
        raise ZipRefused("it spans several disks")
    if attributes >> 28 == _SYMLINK:
        raise ZipRefused("it holds a symbolic link")
    if needed & 0xFF > _NEWEST_VERSION:
        raise ZipRefused("it needs an unknown version of the format")
    name = _name(take(file, name_length), flags)
    extras = _extras(take(file, extra_length), name)
    size, compressed, offset = _zip64(extras, size, compressed, offset)
    return Header(name, method, crc, compressed, size), offset


def end(file: BinaryIO, totals: Totals, *, zip64: bool) -> bytes:
    """Read the end record and compare it with what was walked; its comment. Raises ZipRefused.

    In a ZIP64 archive a field may be filled with ones, which stands for "see the other record".
    """
    disk, start_disk, here, records, size, offset, comment_length = _END_BODY.unpack(take(file, _END_BODY.size))
    if disk or start_disk:
        raise ZipRefused("it spans several disks")
    _check_total("records", (here, records), totals.records, _FULL16 if zip64 else None)
    _check_total("size", (size,), totals.size, _FULL32 if zip64 else None)
    _check_total("offset", (offset,), totals.offset, _FULL32 if zip64 else None)
    return take(file, comment_length)


def end64(file: BinaryIO, totals: Totals) -> None:
    """Read the ZIP64 end record and compare it with what was walked. Raises ZipRefused."""
    length, _, _, disk, start_disk, here, records, size, offset = _END64_BODY.unpack(take(file, _END64_BODY.size))
    if length != _END64_BODY.size - 8:
        raise ZipRefused("ZIP64 extensible data not allowed")
    if disk or start_disk:
        raise ZipRefused("it spans several disks")
    _check_total("records", (here, records), totals.records)
    _check_total("size", (size,), totals.size)
    _check_total("offset", (offset,), totals.offset)


def end64_locator(file: BinaryIO, end64_at: int) -> None:
    """Read the ZIP64 locator, which must point at the record before it. Raises ZipRefused."""
    disk, offset, disks = _LOCATOR_BODY.unpack(take(file, _LOCATOR_BODY.size))
    if disk or disks > 1 or offset != end64_at:
        raise ZipRefused("malformed ZIP64 locator")


def _check_total(what: str, given: tuple[int, ...], actual: int, elsewhere: int | None = None) -> None:
    if any(value not in {actual, elsewhere} for value in given):
        raise ZipRefused(f"mismatched central directory {what}")


def _check_flags(flags: int) -> None:
    if flags & _ENCRYPTED:
        raise ZipRefused("it is encrypted")
    if flags & _DESCRIPTOR:
        raise ZipRefused("it contains a data descriptor")
    if flags & ~_ALLOWED_FLAGS:
        raise ZipRefused("it uses unknown flags")


def _check_method(method: int) -> None:
    if method not in {STORED, DEFLATED}:
        raise ZipRefused("a member is compressed by something other than deflate")


def _name(raw: bytes, flags: int) -> str:
    """The member's name. One that is neither ASCII nor declared as UTF-8 reads differently from program to program."""
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError as error:
        raise ZipRefused("a filename is not valid UTF-8, or not declared as such") from error
    if paths.has_control_characters(name):
        raise ZipRefused("invalid character in filename")
    if not name or "\\" in name or paths.is_absolute(name) or paths.climbs(name):
        raise ZipRefused(f"unsafe filename {name[:100]!r}")
    return name


def _extras(raw: bytes, name: str) -> bytes | None:
    """Check the extra fields; the data of the ZIP64 one, if there is one."""
    zip64, seen = None, set()
    while raw:
        if len(raw) < _EXTRA_HEAD.size:
            raise ZipRefused("malformed extra field")
        kind, length = _EXTRA_HEAD.unpack_from(raw)
        data, raw = raw[4 : 4 + length], raw[4 + length :]
        if len(data) != length:
            raise ZipRefused("malformed extra field")
        if kind not in {_ZIP64, _UNICODE_PATH}:
            continue
        if kind in seen:
            raise ZipRefused("invalid duplicate extra field")
        seen.add(kind)
        if kind == _ZIP64:
            zip64 = data
        elif data[5:] != name.encode():
            raise ZipRefused("a Unicode path that differs from the filename")
    return zip64


def _zip64(data: bytes | None, *fields: int) -> tuple[int, ...]:
    """The header's fields, each that is filled with ones replaced by its value in the ZIP64 extra field (4.5.3).

    Besides the strict form, with values for these fields only, the common one with values for all is accepted where
    both ways of reading it give the same.
    """
    full = [value == _FULL32 for value in fields]
    if data is None:
        if any(full):
            raise ZipRefused("malformed ZIP64 extra field: it is missing")
        return fields
    if len(data) % 8 or not sum(full) * 8 <= len(data) <= len(fields) * 8:
        raise ZipRefused("malformed ZIP64 extra field: wrong length")
    values = struct.unpack(f"<{len(data) // 8}Q", data)
    if len(values) == sum(full):
        rest = iter(values)
        return tuple(next(rest) if missing else value for value, missing in zip(fields, full, strict=True))
    for value, missing, given in zip(fields, full, values, strict=False):
        if value != given and not missing:
            raise ZipRefused("malformed ZIP64 extra field: it contradicts the header")
    if full != sorted(full, reverse=True):
        raise ZipRefused("malformed ZIP64 extra field: ambiguous")
    return values + fields[len(values) :]
