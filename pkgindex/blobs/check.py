"""Whether the bytes in the storage are still what their rows claim."""

import hashlib
from collections.abc import Callable
from enum import Enum

from pkgindex.blobs import store

PIECE = 1 << 20  # bytes


class Damage(Enum):
    """What can be wrong with a blob's bytes."""

    MISSING = "missing"
    WRONG_SIZE = "wrong size"
    CORRUPT = "corrupt"


def damage_of(
    sha256: str, size: int, *, rehash: bool, progress: Callable[[int], object] = lambda _size: None
) -> Damage | None:
    """What is wrong with the stored bytes of that digest and size; None where nothing is.

    Reads all of them if `rehash`; `progress` hears of each piece's size.
    """
    kept, name = store.storage(), store.blob_name(sha256)
    try:
        if kept.size(name) != size:
            return Damage.WRONG_SIZE
        if rehash and _digest(sha256, progress) != sha256:
            return Damage.CORRUPT
    except FileNotFoundError:
        return Damage.MISSING
    return None


def _digest(sha256: str, progress: Callable[[int], object]) -> str:
    digest = hashlib.sha256()
    with store.open_blob(sha256) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            progress(len(piece))
    return digest.hexdigest()
