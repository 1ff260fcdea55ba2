"""Walking a gzip-compressed tar archive without unpacking it to disk. Imports no Django."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pkgindex.upload.archive import paths, tar_records
from pkgindex.upload.archive.gunzip import CHUNK, Gunzip
from pkgindex.upload.archive.tar_records import BLOCK, TarHeader
from pkgindex.upload.archive.zip_framing import ends_like_zip
from pkgindex.upload.archive.zips import BOMB_BYTES, BOMB_RATIO
from pkgindex.upload.errors import AmbiguousArchive, TarRefused

MAX_MEMBERS = 100_000
MAX_EXTENSION = 1 << 20  # bytes of a long name or a pax header

_NO_DATA = frozenset({tar_records.HARD_LINK, tar_records.SYMBOLIC_LINK, tar_records.DIRECTORY})
_NAME_FIELDS = frozenset({"path", "linkpath", "size"})


@dataclass(frozen=True, slots=True)
class Member:
    """One file, directory or link, with long names and pax fields applied."""

    path: tuple[str, ...]
    kind: int
    size: int  # bytes
    target: str

    @property
    def is_file(self) -> bool:
        """True for a regular file."""
        return self.kind in tar_records.REGULAR


class TarReader:
    """The members of an archive of `length` bytes in order; each one's data can be read before the next is asked for.

    `max_unpacked` bounds the bytes that the archive may unpack to, besides the ratio that makes it a bomb.
    """

    def __init__(self, file: BinaryIO, length: int, max_unpacked: int) -> None:
        if ends_like_zip(file, length):
            raise AmbiguousArchive
        file.seek(0)
        self._stream = Gunzip(file, min(max(max_unpacked, BOMB_BYTES), max(BOMB_BYTES, BOMB_RATIO * length)))
        self._pending = 0  # bytes of the current member, padding included, that nobody has read

    def members(self) -> Iterator[Member]:
        """Every member once, then the check that only zeros follow. Raises TarRefused, DecompressionBomb."""
        count = 0
        fields: dict[str, str] = {}
        while (header := self._next_header()) is not None:
            count += 1
            if count > MAX_MEMBERS:
                raise TarRefused(f"it has more than {MAX_MEMBERS} members")
            if self._is_extension(header, fields):
                continue
            member = _member(header, fields)
            fields = {}
            self._pending = _padded(member.size)
            yield member
        if fields:
            raise TarRefused("an extended header that belongs to no member")

    def read(self, member: Member) -> bytes:
        """The data of the member that `members` gave last. The caller has bounded its size. Raises TarRefused."""
        data = self._read(member.size)
        self._skip(_padded(member.size) - member.size)
        self._pending = 0
        return data

    def _next_header(self) -> TarHeader | None:
        self._skip(self._pending)
        self._pending = 0
        block = self._stream.read(BLOCK)
        if any(block):
            return tar_records.header(block)
        while rest := self._stream.read(CHUNK):
            if any(rest):
                raise TarRefused("data after the end of the archive")
        return None

    def _is_extension(self, header: TarHeader, fields: dict[str, str]) -> bool:
        """Read a header that speaks about the next member into `fields`; False for a member's own."""
        kind = header.kind
        if kind not in {*tar_records.PAX, tar_records.PAX_GLOBAL, tar_records.GNU_LONG_NAME, tar_records.GNU_LONG_LINK}:
            return False
        if header.size > MAX_EXTENSION:
            raise TarRefused(f"an extended header of more than {MAX_EXTENSION} bytes")
        data = self._read(header.size)
        if any(self._read(_padded(header.size) - header.size)):
            raise TarRefused("an extended header with data in its padding")  # which tarfile reads as the header's
        if kind == tar_records.PAX_GLOBAL:
            if any(key in _NAME_FIELDS or _changes_meaning(key) for key in tar_records.pax_fields(data)):
                raise TarRefused("a global header that names members")
            return True
        if kind in tar_records.PAX:
            _update(fields, tar_records.pax_fields(data))
        else:
            _update(
                fields,
                {"path" if kind == tar_records.GNU_LONG_NAME else "linkpath": tar_records.long_text(data)},
            )
        return True

    def _read(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) != length:
            raise TarRefused("the archive is truncated")
        return data

    def _skip(self, length: int) -> None:
        if self._stream.skip(length) != length:
            raise TarRefused("the archive is truncated")


def _update(fields: dict[str, str], more: dict[str, str]) -> None:
    """Two headers that both name the same thing are read in a different order by different programs."""
    if fields.keys() & more.keys() & _NAME_FIELDS:
        raise TarRefused("two extended headers for one member")
    fields.update(more)


def _member(header: TarHeader, fields: dict[str, str]) -> Member:
    if header.kind == tar_records.GNU_SPARSE or any(_changes_meaning(key) for key in fields):
        raise TarRefused("it holds a sparse file or a character set of its own")
    if header.kind in tar_records.SPECIAL:
        raise TarRefused("it holds a device or a fifo")
    if header.kind not in tar_records.REGULAR | _NO_DATA:
        raise TarRefused("it holds a member of an unknown kind")
    name = fields.get("path", header.name)
    target = fields.get("linkpath", header.target)
    size = _size(fields.get("size"), header.size)
    # Before ustar a slash at the end made a directory; tarfile looks for it in the name that is cut to 100 bytes, too.
    old_directory = name.endswith("/") or (header.kind == 0 and header.name.endswith("/"))
    if size and (header.kind in _NO_DATA or old_directory):
        raise TarRefused("a link or a directory with data")
    if "\x00" in name + target or paths.is_absolute(name) or paths.climbs(name):
        raise TarRefused(f"unsafe name {name[:100]!a}")
    kind = tar_records.DIRECTORY if name.endswith("/") and header.kind in tar_records.REGULAR else header.kind
    return Member(paths.parts_of(name), kind, size, target)


def _changes_meaning(key: str) -> bool:
    """True for a pax keyword after which the data or the names are not what they look like."""
    return key.startswith("GNU.sparse") or key == "hdrcharset"


def _size(field: str | None, default: int) -> int:
    if field is None:
        return default
    if not (field.isascii() and field.isdigit() and len(field) < 20):
        raise TarRefused("a malformed pax header")
    return int(field)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
