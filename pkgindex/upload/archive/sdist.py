"""What makes a sound tar archive a source distribution (PEP 517, PEP 625, PEP 721). Imports no Django."""

from dataclasses import dataclass, field
from typing import BinaryIO

from packaging.version import Version

from pkgindex.catalog.names import NormalizedName
from pkgindex.upload import filenames
from pkgindex.upload.archive import paths, tar_records
from pkgindex.upload.archive.tars import Member, TarReader
from pkgindex.upload.errors import InvalidSdist, TarRefused

MAX_METADATA = 16 << 20  # bytes
PKG_INFO = "PKG-INFO"


@dataclass(frozen=True, slots=True)
class SdistContent:
    """What an index wants to know from inside a source distribution."""

    metadata: bytes  # PKG-INFO, to the byte
    top: str
    files: frozenset[str]

    def has_license(self, path: str) -> bool:
        """True where a License-File of the metadata is there, seen from the project's root (PEP 639)."""
        return f"{self.top}/{path}" in self.files


@dataclass(slots=True)
class _Found:
    """What the walk has met so far; paths are joined by `/`."""

    top: str = ""
    metadata: bytes | None = None
    files: set[str] = field(default_factory=set)
    symlinks: set[str] = field(default_factory=set)


def read_sdist(file: BinaryIO, length: int, name: NormalizedName, version: Version, max_unpacked: int) -> SdistContent:
    """Check a source distribution of `length` bytes that its filename calls `name` and `version`.

    The whole stream is unpacked once, in constant memory, to at most `max_unpacked` bytes: a tar archive has no
    directory, so that there is no other way to know what is in it. Links may stay inside the tree, as on PyPI.

    Raises TarRefused, DecompressionBomb, AmbiguousArchive, InvalidSdist.
    """
    reader = TarReader(file, length, max_unpacked)
    found = _Found()
    for member in reader.members():
        if member.path:
            _meet(reader, member, found)
    if not found.top:
        raise InvalidSdist("Invalid sdist: the archive is empty.")
    if not filenames.names_release(found.top, name, version):
        raise InvalidSdist(f"Invalid sdist: its directory {found.top!a} does not match the filename.")
    if found.metadata is None:
        raise InvalidSdist(f"Invalid sdist: {found.top!a}/{PKG_INFO} is missing.")
    _check_nothing_below(found)
    return SdistContent(found.metadata, found.top, frozenset(found.files))


def _meet(reader: TarReader, member: Member, found: _Found) -> None:
    found.top = found.top or member.path[0]
    if member.path[0] != found.top or (len(member.path) == 1 and member.kind != tar_records.DIRECTORY):
        raise InvalidSdist("Invalid sdist: it needs exactly one directory at the top, with everything in it.")
    path = "/".join(member.path)
    if member.path[1:] == (PKG_INFO,):
        found.metadata = _read_metadata(reader, member, found)
    if member.kind == tar_records.SYMBOLIC_LINK:
        _check_symlink(member)
        found.symlinks.add(path)
    elif member.kind == tar_records.HARD_LINK:
        _check_hard_link(member, found)
    if member.kind != tar_records.DIRECTORY:
        found.files.add(path)


def _read_metadata(reader: TarReader, member: Member, found: _Found) -> bytes:
    if found.metadata is not None:
        raise InvalidSdist(f"Invalid sdist: it has more than one {PKG_INFO}.")
    if not member.is_file:
        raise InvalidSdist(f"Invalid sdist: {PKG_INFO} is not a regular file.")
    if member.size > MAX_METADATA:
        raise InvalidSdist(f"Invalid sdist: {PKG_INFO} is larger than {MAX_METADATA} bytes.")
    return reader.read(member)


def _check_symlink(member: Member) -> None:
    """The target must be in the tree wherever other links lead.

    `..` is allowed at the target's beginning only, where it climbs real directories (`_check_nothing_below`); what
    follows can only descend, and each link on its way was checked likewise.
    """
    target = member.target
    steps = target.replace("\\", "/").split("/")
    rest = [step for step in steps if step not in {"", "."}]
    climbed = 0
    while rest and rest[0] == "..":
        climbed, rest = climbed + 1, rest[1:]
    depth = len(member.path) - 2  # directories between the top and the link
    if not target or paths.is_absolute(target) or ".." in rest or climbed > depth:
        raise TarRefused(f"a link that leads outside: {'/'.join(member.path)[:100]!a}")


def _check_hard_link(member: Member, found: _Found) -> None:
    """A hard link names an earlier member from the archive's root."""
    if "/".join(paths.parts_of(member.target)) not in found.files or paths.climbs(member.target):
        raise TarRefused(f"a hard link to nothing inside: {'/'.join(member.path)[:100]!a}")


def _check_nothing_below(found: _Found) -> None:
    """A member below a symbolic link would be written wherever that one leads."""
    if not found.symlinks:
        return
    for path in found.files:
        at = path.find("/")
        while at >= 0:
            if path[:at] in found.symlinks:
                raise TarRefused(f"a member below a symbolic link: {path[:100]!a}")
            at = path.find("/", at + 1)
