"""The answer with a page that lies in a file: sent by the server's sendfile, or in blocks."""

import io
from collections.abc import Iterator
from pathlib import Path

from django.http import StreamingHttpResponse

BLOCK_BYTES = 256 << 10


class PageStream:
    """A file in blocks. It shows its descriptor, so that the server can hand it to sendfile."""

    def __init__(self, path: Path) -> None:
        self._file = io.FileIO(path)

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        return self._file.read(size) or b""

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(BLOCK_BYTES), b"")

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Position the file; sendfile counts the bytes itself and says where it stopped."""
        return self._file.seek(offset, whence)

    def fileno(self) -> int:
        """The descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PageResponse(StreamingHttpResponse):
    """A response that offers its file to `wsgi.file_wrapper`, as Django's handler looks for it.

    Raises FileNotFoundError where the file is not there any more.
    """

    block_size = BLOCK_BYTES

    def __init__(self, path: Path, *, size: int, content_type: str) -> None:
        stream = PageStream(path)
        super().__init__(stream, content_type=content_type)
        self.file_to_stream = stream
        self["Content-Length"] = str(size)
