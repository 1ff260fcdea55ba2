"""SHA-256 of each block of a larger file, taken from the original when it is first copied.

With them a relayed download is checked block by block: bytes that a node has damaged are never sent, and another node
goes on at the same place.
"""

import threading
from collections import OrderedDict
from hashlib import sha256

from django.db import DatabaseError

from balancing.models import Manifest

BLOCK = 1 << 20  # bytes
MOST_BYTES = 4 << 20  # of hashes that a process remembers: of 128 GB of files
WIDTH = 32

_lock = threading.Lock()
_known: "OrderedDict[str, tuple[bytes, ...]]" = OrderedDict()
_held = 0


class Hasher:
    """Fed with a file from its beginning; `hashes` are those of its blocks, the last one shorter."""

    def __init__(self) -> None:
        self._hashes: list[bytes] = []
        self._open, self._length = sha256(), 0

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        view = memoryview(data)
        while view:
            part = view[: BLOCK - self._length]
            self._open.update(part)
            self._length += len(part)
            view = view[len(part) :]
            if self._length == BLOCK:
                self._close()

    def hashes(self) -> tuple[bytes, ...]:
        """Every block's hash; call it once, at the end."""
        if self._length:
            self._close()
        return tuple(self._hashes)

    def _close(self) -> None:
        self._hashes.append(self._open.digest())
        self._open, self._length = sha256(), 0


def is_wanted(digest: str, size: int) -> bool:
    """True for a file of several blocks whose hashes are not known yet."""
    return size > BLOCK and not Manifest.objects.filter(pk=digest).exists()


def keep(digest: str, hashes: tuple[bytes, ...]) -> None:
    """Remember the blocks of a file whose bytes have the digest; a second time changes nothing."""
    Manifest.objects.bulk_create([Manifest(digest=digest, hashes=b"".join(hashes))], ignore_conflicts=True)


def of(digest: str, size: int) -> tuple[bytes, ...]:
    """The hashes of a file's blocks; none where they are not known, or the database does not answer."""
    if size <= BLOCK:
        return ()
    with _lock:
        found = _known.get(digest)
        if found is not None:
            _known.move_to_end(digest)
            return found
    try:
        row = Manifest.objects.filter(pk=digest).values_list("hashes", flat=True).first()
    except DatabaseError:
        return ()
    joined = bytes(row or b"")
    if len(joined) != WIDTH * -(-size // BLOCK):
        return ()
    found = tuple(joined[at : at + WIDTH] for at in range(0, len(joined), WIDTH))
    _remember(digest, found)
    return found


def _remember(digest: str, found: tuple[bytes, ...]) -> None:
    global _held  # noqa: PLW0603 - one memory per process
    with _lock:
        if digest not in _known:
            _known[digest] = found
            _held += WIDTH * len(found)
        while _held > MOST_BYTES and len(_known) > 1:
            _held -= WIDTH * len(_known.popitem(last=False)[1])
