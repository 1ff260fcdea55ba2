"""Filenames of distributions: what they may look like and what they claim. Imports no Django."""

import re
from dataclasses import dataclass
from functools import lru_cache

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from pkgindex.catalog.names import NormalizedName, is_valid_name, normalize
from pkgindex.upload.errors import InvalidFilename

WHEEL_SUFFIX = ".whl"
SDIST_SUFFIX = ".tar.gz"
MAX_LENGTH = 250  # most file systems hold 255 bytes, and `.metadata` or a download's temporary suffix must fit too
MAX_VERSION_LENGTH = 180  # so that PEP 440's spelling of it, which can be longer, fits into 200
MAX_PYTHON_LENGTH = 100

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!~-]*\Z")
_LINUX = re.compile(r"linux_[a-z0-9_]+\Z")
_PLATFORM = re.compile(
    r"""(?: any
      | win32 | win_amd64 | win_arm64 | win_arm32 | win_ia64
      | linux_armv[67]l                                    # PyPI's exception for the Raspberry Pi
      | manylinux(?:1|2010|2014)_[a-z0-9_]+ | manylinux_\d+_\d+_[a-z0-9_]+
      | musllinux_\d+_\d+_[a-z0-9_]+
      | macosx_\d+_\d+_[a-z0-9_]+
      | ios_\d+_\d+_[a-z0-9_]+                             # PEP 730
      | android_\d+_[a-z0-9_]+                             # PEP 738
      | (?:pyodide|pyemscripten|emscripten)_\d+_\d+(?:_\d+)?_wasm(?:32|64)   # PEP 783
      | wasi_\d+_\d+_wasm(?:32|64)
    )\Z""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class ParsedName:
    """What a filename says about its content."""

    name: str
    version: Version
    python: str  # the Python tags joined by dots as spelled, or `source`
    platforms: tuple[str, ...]


def check_plain(filename: str) -> None:
    """Refuse what no distribution's filename needs: separators, control characters, non-ASCII, great length.

    Raises InvalidFilename.
    """
    if len(filename) > MAX_LENGTH:
        raise InvalidFilename(f"The filename is longer than {MAX_LENGTH} characters.")
    if not _PLAIN.match(filename):
        raise InvalidFilename(f"Invalid filename {filename!r}: only letters, digits and . _ - + ! ~ are allowed.")


def parse(filename: str) -> ParsedName:
    """A wheel's or an sdist's filename taken apart. Raises InvalidFilename."""
    check_plain(filename)
    if filename.endswith(WHEEL_SUFFIX):
        return parse_wheel(filename)
    if filename.endswith(SDIST_SUFFIX):
        return parse_sdist(filename)
    raise InvalidFilename(
        f"Invalid file extension: {filename!r} ends in neither {SDIST_SUFFIX!r} nor {WHEEL_SUFFIX!r}."
    )


@lru_cache(maxsize=32)  # several rules ask of the same name, one after the other
def parse_wheel(filename: str) -> ParsedName:
    """A wheel's filename by the binary distribution format. Raises InvalidFilename.

    The first component may be spelled as older tools did, with capitals or dots: it stands in lock files and on PyPI,
    and installers compare it normalised.
    """
    try:
        _, version, _, _ = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion, ValueError) as error:
        raise InvalidFilename(f"Invalid wheel filename {filename!r}: it does not follow the standard.") from error
    parts = filename.removesuffix(WHEEL_SUFFIX).split("-")
    if not is_valid_name(parts[0]):
        raise InvalidFilename(f"Invalid wheel filename {filename!r}: {parts[0]!r} is not a project name.")
    if len(parts[1]) > MAX_VERSION_LENGTH or len(parts[-3]) > MAX_PYTHON_LENGTH:
        raise InvalidFilename(f"Invalid wheel filename {filename!r}: its version or its Python tags are too long.")
    return ParsedName(parts[0], version, parts[-3], tuple(parts[-1].split(".")))


def parse_sdist(filename: str) -> ParsedName:
    """An sdist's filename by PEP 625: `{name}-{version}.tar.gz`, split at the last dash. Raises InvalidFilename."""
    stem = filename.removesuffix(SDIST_SUFFIX)
    name, _, version = stem.rpartition("-")
    if not is_valid_name(name) or len(version) > MAX_VERSION_LENGTH:
        raise InvalidFilename(f"Invalid sdist filename {filename!r}: it is not '{{name}}-{{version}}.tar.gz'.")
    try:
        return ParsedName(name, Version(version), "source", ())
    except InvalidVersion as error:
        raise InvalidFilename(f"Invalid sdist filename {filename!r}: {version!r} is not a PEP 440 version.") from error


def names_release(stem: str, name: NormalizedName, version: Version) -> bool:
    """True where `stem` is `{name}-{version}` in any spelling that normalises to these.

    Older tools left dashes in both parts (`zope-interface-1.0-beta`), so every dash is tried as the one between them.
    """
    if len(stem) > MAX_LENGTH:
        return False
    return any(
        normalize(stem[:at]) == name and _same_version(stem[at + 1 :], version)
        for at, character in enumerate(stem)
        if character == "-"
    )


def _same_version(text: str, version: Version) -> bool:
    try:
        return Version(text.replace("_", "-")) == version
    except InvalidVersion:
        return False


def is_linux(platform: str) -> bool:
    """True for the plain `linux_*` tags, which promise nothing about the libraries a machine needs."""
    return bool(_LINUX.match(platform))


def is_known_platform(platform: str) -> bool:
    """True for a platform tag of a shape that installers know, plain `linux_*` not among them."""
    return bool(_PLATFORM.match(platform))
