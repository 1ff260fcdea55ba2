"""Names of archive members: which are safe on every system that may unpack them. Imports no Django."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")


def has_control_characters(name: str) -> bool:
    """True where a name holds a character below U+0020 or DEL."""
    return bool(_CONTROL.search(name))


def is_absolute(name: str) -> bool:
    """True for a path that POSIX or Windows resolves from a root or a drive."""
    return name.startswith(("/", "\\")) or bool(_DRIVE.match(name))


def climbs(name: str) -> bool:
    """True for a path with a `..` in it, whichever slash separates its parts."""
    return ".." in name.replace("\\", "/").split("/")


def parts_of(name: str) -> tuple[str, ...]:
    """The path's components without the empty ones and `.`."""
    return tuple(part for part in name.split("/") if part not in {"", "."})
