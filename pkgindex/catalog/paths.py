"""Where a file is reached: the one path that pages, lock files and caches keep for ever. Imports no Django."""

from urllib.parse import quote


def file_path(sha256: str, filename: str) -> str:
    """The path without a leading slash, percent-encoded. It names its content and has no query."""
    return f"packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{quote(filename, safe='')}"
