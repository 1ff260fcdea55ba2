"""Names, versions and file names of distributions as the standards define them. Imports no Django."""

from packaging.utils import NormalizedName, canonicalize_name, canonicalize_version
from packaging.version import InvalidVersion, Version

__all__ = [
    "NormalizedName",
    "is_normalized",
    "is_valid_name",
    "normalize",
    "normalize_version",
    "release_key",
    "version_key",
]


def normalize(name: str) -> NormalizedName:
    """Lower case, runs of `-_.` as one `-`: the form used in URLs (PEP 503). Accepts any text."""
    return canonicalize_name(name)


def is_normalized(name: str) -> bool:
    """True where `name` is already in the form that `normalize` gives."""
    return name == canonicalize_name(name)


def is_valid_name(name: str) -> bool:
    """True for a project name that the core metadata standard allows: ASCII, ends alphanumeric."""
    try:
        canonicalize_name(name, validate=True)
    except ValueError:
        return False
    return name.isascii()


def normalize_version(text: str) -> str:
    """The version as PEP 440 writes it, trailing zeros kept: the form in file names and in `versions`.

    Raises InvalidVersion.
    """
    return str(Version(text))


def release_key(text: str) -> str:
    """What makes two versions the same release: PEP 440's spelling without trailing zeros. Raises InvalidVersion."""
    return canonicalize_version(Version(text))


def version_key(text: str) -> tuple[int, Version | str]:
    """A sort key that puts versions of before PEP 440 below all others instead of failing."""
    try:
        return (1, Version(text))
    except InvalidVersion:
        return (0, text)
