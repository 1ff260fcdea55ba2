"""What makes a sound zip archive a wheel (the binary distribution format, PEP 427 and its heirs). Imports no Django."""

import configparser
import csv
from collections.abc import Iterable
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import compat32
from typing import BinaryIO

from packaging.version import Version

from pkgindex.catalog.names import NormalizedName
from pkgindex.upload import filenames
from pkgindex.upload.archive.zips import ZipArchive, open_zip
from pkgindex.upload.errors import InvalidWheel

MAX_METADATA = 16 << 20  # bytes
MAX_WHEEL_FILE = 64 << 10
MAX_ENTRY_POINTS = 4 << 20
MAX_RECORD = 64 << 20
DIST_INFO = ".dist-info"


@dataclass(frozen=True, slots=True)
class WheelContent:
    """What an index wants to know from inside a wheel."""

    metadata: bytes  # METADATA, to the byte
    archive: ZipArchive
    dist_info: str

    def has_license(self, path: str) -> bool:
        """True where a License-File of the metadata is there: in `licenses/` (PEP 639), or where older tools put it."""
        folders = ("licenses/", "", "license_files/")
        return any(f"{self.dist_info}/{folder}{path}" in self.archive.entries for folder in folders)


def read_wheel(file: BinaryIO, length: int, name: NormalizedName, version: Version) -> WheelContent:
    """Check a wheel of `length` bytes that its filename calls `name` and `version`.

    Reads the members that describe the wheel and none that is its content. Whether RECORD lists exactly the members
    is not asked: PyPI only warns about it, and installers write a RECORD of their own.

    Raises ZipRefused, DecompressionBomb, AmbiguousArchive, InvalidWheel.
    """
    archive = open_zip(file, length)
    dist_info = _dist_info(archive, name, version)
    for member in ("METADATA", "WHEEL", "RECORD"):
        if f"{dist_info}/{member}" not in archive.entries:
            raise InvalidWheel(f"Invalid wheel: {dist_info}/{member} is missing.")
    _check_wheel_file(archive.read(f"{dist_info}/WHEEL", MAX_WHEEL_FILE))
    _check_record(archive.lines(f"{dist_info}/RECORD", MAX_RECORD))
    entry_points = f"{dist_info}/entry_points.txt"
    if entry_points in archive.entries:
        _check_entry_points(archive.read(entry_points, MAX_ENTRY_POINTS))
    return WheelContent(archive.read(f"{dist_info}/METADATA", MAX_METADATA), archive, dist_info)


def _dist_info(archive: ZipArchive, name: NormalizedName, version: Version) -> str:
    """The one `{name}-{version}.dist-info` at the top. Installers refuse a wheel with two."""
    tops = {member.partition("/")[0] for member in archive.entries if "/" in member}
    found = sorted(top for top in tops if top.endswith(DIST_INFO))
    if len(found) != 1:
        raise InvalidWheel(f"Invalid wheel: it has {len(found)} .dist-info directories and needs exactly one.")
    if not filenames.names_release(found[0].removesuffix(DIST_INFO), name, version):
        raise InvalidWheel(f"Invalid wheel: {found[0]!r} does not match the filename.")
    return found[0]


def _check_wheel_file(data: bytes) -> None:
    fields = BytesHeaderParser(policy=compat32).parsebytes(data)
    given = fields.get_all("Wheel-Version", [])
    if len(given) != 1:
        raise InvalidWheel("Invalid wheel: WHEEL has no single Wheel-Version.")
    major, dot, minor = str(given[0]).strip().partition(".")
    if major != "1" or not dot or not minor.isdecimal():
        raise InvalidWheel(f"Invalid wheel: Wheel-Version {str(given[0])[:50]!r} is not supported.")


def _check_record(lines: Iterable[str]) -> None:
    try:
        for _ in csv.reader(lines, strict=True):
            pass
    except csv.Error as error:
        raise InvalidWheel("Invalid wheel: RECORD is not well-formed CSV.") from error


def _check_entry_points(data: bytes) -> None:
    """The file must parse, and a script's name must stay in the folder where installers put scripts."""
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    try:
        parser.read_string(data.decode())
    except (configparser.Error, UnicodeDecodeError) as error:
        raise InvalidWheel("Invalid wheel: entry_points.txt is not well-formed.") from error
    for group in ("console_scripts", "gui_scripts"):
        for script in parser.options(group) if parser.has_section(group) else ():
            if "/" in script or "\\" in script or script in {".", ".."}:
                raise InvalidWheel(f"Invalid wheel: entry_points.txt names a script {script[:50]!r}.")
