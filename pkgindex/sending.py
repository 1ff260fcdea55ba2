"""Answers made of a part of a file: by the server's sendfile where it is a local one, else in blocks."""

import io
from collections.abc import Callable, Iterator
from typing import Any

from django.http import StreamingHttpResponse

BLOCK_BYTES = 256 << 10  # held in memory for each download that sendfile does not serve


class Window:
    """A readable part of a file that ends where the part ends.

    A local file shows its descriptor, positioned at the part's start: with the Content-Length that the response
    states, the server can hand both to sendfile. `when_closed` is told once how many bytes of the part went out.
    """

    def __init__(self, file: Any, start: int, length: int) -> None:
        self._file = file
        self._start, self._left, self._sent = start, length, 0
        self.when_closed: Callable[[int], None] | None = None
        file.seek(start)

    @property
    def left(self) -> int:
        """Bytes of the part that were not read yet."""
        return self._left

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes of what is left of the part."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = bytes(self._file.read(wanted)) if wanted else b""
        self._left -= len(data)
        self._sent += len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(BLOCK_BYTES), b"")

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Position the file; for sendfile, which counts the bytes itself and leaves the file where it stopped."""
        position: int = self._file.seek(offset, whence)
        self._sent = max(0, position - self._start)
        return position

    def fileno(self) -> int:
        """The descriptor of a local file. Raises UnsupportedOperation for any other."""
        if not isinstance(self._file, io.FileIO):
            raise io.UnsupportedOperation("fileno")
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        tell, self.when_closed = self.when_closed, None
        if tell:
            tell(self._sent)


class WindowResponse(StreamingHttpResponse):
    """A response that offers its file to `wsgi.file_wrapper`, as Django's handler looks for it.

    Not FileResponse, which adds a Content-Disposition that would override installers' own file names.
    """

    block_size = BLOCK_BYTES

    def __init__(self, window: Window, *, content_type: str) -> None:
        super().__init__(window, content_type=content_type)
        self.file_to_stream = window
