"""An answer on its way out: as much at a time as the socket takes, without ever waiting for it."""

import os
import socket
from collections.abc import Iterable

from pkgindex.sending import Window

JOINED = 16_384  # bytes; a longer body is not copied behind its head
PIECE = 1 << 20  # bytes of a file at a time
TURN = 4  # pieces, if the socket takes them; then other connections have their turn
MORE = getattr(socket, "MSG_MORE", 0)  # the head leaves in one packet with the first bytes of its file


class Outgoing:
    """Head and body. The body is bytes, or a window of a local file, closed in the end."""

    def __init__(self, head: bytes, body: Iterable[bytes]) -> None:
        self._window: Window | None = body if isinstance(body, Window) else None
        pieces = [head] if self._window else [head, *body]
        if sum(map(len, pieces)) <= JOINED:
            pieces = [b"".join(pieces)]
        self._views = [memoryview(piece) for piece in pieces if piece]
        self._offset = self._left = 0
        if self._window:
            self._left = self._window.left
            self._offset = os.lseek(self._window.fileno(), 0, os.SEEK_CUR)

    def push(self, sock: socket.socket) -> bool:
        """Send what the socket takes; True when all is out. Raises OSError where the client is gone."""
        try:
            while self._views:
                if not self._push_bytes(sock):
                    return False
            return self._window is None or self._push_file(sock, self._window)
        except BlockingIOError:
            return False

    def _push_bytes(self, sock: socket.socket) -> bool:
        """True where the socket took all that it was offered."""
        views = self._views
        if len(views) == 1:
            count = sock.send(views[0], MORE if self._window and self._left else 0)
        else:
            count = sock.sendmsg(views)
        while views and count >= len(views[0]):
            count -= len(views.pop(0))
        if count:
            views[0] = views[0][count:]
        return not views

    def _push_file(self, sock: socket.socket, window: Window) -> bool:
        for _ in range(TURN):
            if not self._left:
                break
            offered = min(self._left, PIECE)
            count = os.sendfile(sock.fileno(), window.fileno(), self._offset, offered)
            if not count:
                raise OSError("the file is shorter than it was")
            self._offset += count
            self._left -= count
            if count < offered:
                break
        return self._left == 0

    def close(self) -> None:
        """Close the file, which tells those who count how much of it went out."""
        if self._window:
            window, self._window = self._window, None
            window.seek(self._offset)
            window.close()
