"""Blobs without files, for tests of the storage."""

import hashlib
from pathlib import Path

from pkgindex.blobs import store
from pkgindex.blobs.models import Blob


def put(data: bytes | Path) -> Blob:
    """Store bytes, or a file that is consumed, and claim them; the row."""
    content = data if isinstance(data, bytes) else data.read_bytes()
    contents = [store.Content(hashlib.sha256(content).hexdigest(), len(content), data)]
    store.put(contents)
    store.claim(contents)
    return Blob.objects.get(pk=contents[0].sha256)
