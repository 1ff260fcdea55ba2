"""What the loop sends: whole, in bounded turns, and told to those who count."""

import io
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pkgindex.sending import Window
from pkgindex.worker.outgoing import PIECE, TURN, Outgoing

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A sender that never waits, and a reader, over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as reader:
        sender, _ = listener.accept()
        with sender:
            sender.setblocking(False)
            reader.settimeout(5)
            yield sender, reader


def _window(path: Path, size: int, start: int = 0, length: int | None = None) -> Window:
    path.write_bytes(os.urandom(size))
    return Window(io.FileIO(path), start, size if length is None else length)


def _receive(out: Outgoing, sender: socket.socket, reader: socket.socket, size: int) -> bytes:
    received = bytearray()
    done = False
    with closing(out):
        while len(received) < size or not done:
            done = done or out.push(sender)
            if len(received) < size:
                received += reader.recv(100_000)
    return bytes(received)


@pytest.mark.parametrize("size", [0, 1, 5_000, PIECE, PIECE + 1, 2 * TURN * PIECE + 7])
def test_a_file_of_any_size_arrives_whole(size: int, tmp_path: Path, ends: tuple[socket.socket, socket.socket]) -> None:
    """Its bytes, behind the head."""
    window = _window(tmp_path / "file", size)
    received = _receive(Outgoing(HEAD, window), *ends, len(HEAD) + size)
    assert received == HEAD + (tmp_path / "file").read_bytes()


@pytest.mark.parametrize("length", [1_000, 2 * PIECE + 5])
def test_a_part_of_a_file_ends_where_the_part_ends(
    length: int, tmp_path: Path, ends: tuple[socket.socket, socket.socket]
) -> None:
    """A range from the middle is sent, and nothing beyond it."""
    window = _window(tmp_path / "file", 4 * PIECE, start=77, length=length)
    received = _receive(Outgoing(HEAD, window), *ends, len(HEAD) + length)
    assert received == HEAD + (tmp_path / "file").read_bytes()[77 : 77 + length]
    ends[0].close()
    assert ends[1].recv(1) == b""


@pytest.mark.parametrize("size", [PIECE, 4 * PIECE])
def test_a_file_that_became_shorter_ends_the_connection(
    size: int, tmp_path: Path, ends: tuple[socket.socket, socket.socket]
) -> None:
    """What was promised cannot be sent: an error, not a turn without end."""
    window = _window(tmp_path / "file", size)
    os.truncate(tmp_path / "file", size // 2)
    with pytest.raises(OSError, match="shorter"):
        _receive(Outgoing(HEAD, window), *ends, len(HEAD) + size)


def test_one_turn_is_bounded(tmp_path: Path) -> None:
    """A reader that keeps up does not hold the loop: after a few pieces others have their turn."""

    class Greedy(io.FileIO):
        """Takes everything at once, as no socket does."""

        def send(self, data: memoryview, _flags: int = 0) -> int:
            """Take it."""
            return self.write(data)

    out = Outgoing(HEAD, _window(tmp_path / "file", 3 * TURN * PIECE))
    with closing(out), Greedy(tmp_path / "taken", "wb") as sock:
        turns = [out.push(sock) for _ in range(3)]  # type: ignore[arg-type]
    assert turns == [False, False, True]
    assert (tmp_path / "taken").read_bytes() == HEAD + (tmp_path / "file").read_bytes()


def test_who_counts_is_told_what_went_out(tmp_path: Path, ends: tuple[socket.socket, socket.socket]) -> None:
    """A download that ends early is charged for what the socket took, and no more than the file has."""
    window = _window(tmp_path / "file", 64 * PIECE)
    told: list[int] = []
    window.when_closed = told.append
    out = Outgoing(HEAD, window)
    assert out.push(ends[0]) is False
    out.close()
    out.close()
    assert len(told) == 1
    assert 0 < told[0] <= TURN * PIECE
