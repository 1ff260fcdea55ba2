"""Header blocks of tar archives: POSIX ustar and pax (IEEE 1003.1), and GNU's long names. Imports no Django.

Written out here and not taken from `tarfile` because that one trusts a header's sizes before anybody can bound them,
and reads malformed headers kindly where two programs would read two things.
"""

import re
from dataclasses import dataclass

from pkgindex.upload.errors import TarRefused

BLOCK = 512  # bytes

REGULAR = frozenset(b"0\x007")  # 7 is a contiguous file, which everybody treats as a regular one
HARD_LINK = ord("1")
SYMBOLIC_LINK = ord("2")
DIRECTORY = ord("5")
GNU_LONG_NAME = ord("L")
GNU_LONG_LINK = ord("K")
PAX = frozenset(b"xX")  # X is the name that Solaris gave it
PAX_GLOBAL = ord("g")
GNU_SPARSE = ord("S")
SPECIAL = frozenset(b"346")  # character device, block device, fifo

_USTAR = b"ustar\x00"
# Mode, owner, group, time, and a device's two numbers.
_OTHER_NUMBERS = (slice(100, 108), slice(108, 116), slice(116, 124), slice(136, 148), slice(329, 337), slice(337, 345))
_OCTAL = re.compile(rb"[0-7]*\Z")
_PAX_LENGTH = re.compile(rb"(\d{1,10}) ")


@dataclass(frozen=True, slots=True)
class TarHeader:
    """One header block, before long names and pax fields are applied."""

    name: str
    kind: int  # the type flag's byte
    size: int  # bytes of data that follow
    target: str  # of a link


def is_header(block: bytes) -> bool:
    """True for a block with a tar header's checksum in it."""
    if len(block) != BLOCK or not any(block):
        return False
    try:
        claimed = _number(block[148:156])
    except TarRefused:
        return False
    rest = block[:148] + block[156:]
    unsigned = sum(rest) + 8 * ord(" ")  # the checksum's own bytes count as spaces
    # Some old tars summed signed bytes.
    return claimed == unsigned or claimed == unsigned - 256 * sum(byte > 0x7F for byte in rest)


def header(block: bytes) -> TarHeader:
    """Parse a header block that is not all zeros. Raises TarRefused."""
    if not is_header(block):
        raise TarRefused("a header with a wrong checksum")
    # tarfile takes a header with a malformed number anywhere for the end of the archive.
    for field in _OTHER_NUMBERS:
        _number(block[field], signed=True)
    kind, name = block[156], _text(block[:100])
    if prefix := _text(block[345:500]):
        if block[257:263] != _USTAR:
            raise TarRefused("a name's prefix outside the ustar format")
        name = f"{prefix}/{name}"
    return TarHeader(name, kind, _number(block[124:136]), _text(block[157:257]))


def pax_fields(data: bytes) -> dict[str, str]:
    """The records of a pax extended header, the last of a keyword counting. Raises TarRefused.

    A record is `length keyword=value` and a line feed, the length counting the record's bytes, its own digits included.
    """
    fields = {}
    at = 0
    while at < len(data):
        match = _PAX_LENGTH.match(data, at)
        if match is None:
            raise TarRefused("a malformed pax header")
        length = int(match[1])
        record = data[match.end() : at + length]
        keyword, equals, value = record[:-1].partition(b"=")
        if at + length > len(data) or not record.endswith(b"\n") or not equals or not keyword:
            raise TarRefused("a malformed pax header")
        fields[_decode(keyword)] = _decode(value)
        at += length
    return fields


def long_text(data: bytes) -> str:
    """The name or link target in the data of one of GNU's extra headers."""
    return _text(data)


def _number(raw: bytes, *, signed: bool = False) -> int:
    """Octal digits, or GNU's base-256 for what they cannot hold."""
    if raw[0] == 0x80 or (signed and raw[0] == 0xFF):
        return int.from_bytes(raw[1:], "big", signed=signed)
    digits = raw.partition(b"\x00")[0].strip(b" ")
    if not _OCTAL.match(digits):
        raise TarRefused("a header with a malformed number")
    return int(digits or b"0", 8)


def _text(raw: bytes) -> str:
    return _decode(raw.partition(b"\x00")[0])


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
