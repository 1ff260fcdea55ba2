"""Files with secrets in them: for their owner alone from the first byte, and whole or absent after a crash."""

import os
import tempfile
from pathlib import Path

from pkgindex.blobs.files import publish

CERTIFICATE = "nginx/tls.pem"  # in the data directory: what `up --tls` shows to clients, with its key


def write_private(path: Path, text: str) -> None:
    """Replace the file by `text`; its mode is 0600 (which mkstemp gives and nothing widens)."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        publish(Path(temporary), path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
