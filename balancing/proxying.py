"""Streams a file from nodes and goes on from the next, at the same byte, where one fails. Pure.

What keeps wrong bytes from a client:

- A file of up to 1 MB is read whole and compared with its digest before its first byte is sent, also where only a part
  of it is wanted: a damaged copy is replaced by the next node's and the client notices nothing.
- A larger file whose blocks' digests are known (`balancing.manifests`) is checked block by block, parts of it too: a
  block is sent when it is right, and otherwise asked of the next node.
- Another larger file that is sent whole is hashed on its way, its last block held back until the digest is known.
  Where it is another, the stream breaks off: the client has less than was announced, and asks again. What was sent
  cannot be unsent, and no other node can tell in the middle which of the bytes are wrong.
- Of a part of a larger file nothing is known but its place and length; the client that joins parts compares the digest.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Self

from balancing.backends import BLOCK, Backend, Blocks, NodeError
from balancing.turns import Ended, Listener, Turn

__all__ = ["Ended", "Listener", "stream"]

SMALL = 1 << 20
"""Bytes up to which a file is checked before anything of it is sent."""
TRIES = 4
"""Nodes that are asked for one stream before the fallback is."""

Fallback = Callable[[int, int], Iterable[bytes]]


def stream(
    digest: str,
    size: int,
    span: tuple[int, int],
    nodes: Iterable[tuple[str, Backend]],
    fallback: Fallback,
    listener: Listener | None = None,
    hashes: Sequence[bytes] = (),
) -> Blocks:
    """The bytes from `span[0]` to before `span[1]` of a file of `size` bytes, from the first node that has them.

    `nodes` is asked for the next only when it is needed, at most `TRIES` times; then `fallback(start, end)`, the
    project's own storage. The first block is there when this returns: until then nothing is lost, and whatever the
    fallback raises comes from here. Later it comes from the iterator, as does NodeError `digest_mismatch`, and the
    response must be broken off. `hashes` are the SHA-256 of each MiB of the file. Closing the
    iterator closes every connection. Raises ValueError for no real span.
    """
    start, end = span
    if not 0 <= start <= end <= size:
        raise ValueError(f"Bytes {start} to {end} are no part of a file of {size}.")
    job = _Job(digest, size, start, end, islice(nodes, TRIES), fallback, listener or Listener())
    if start == end:
        return _Begun(iter(()))
    if size <= SMALL:
        return _Begun(job.checked())
    return _Begun(job.checked_by_block(hashes) if hashes else job.passed_on())


class _Begun:
    """Blocks whose first is there."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._first = next(blocks, b"")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._first:
            block, self._first = self._first, b""
            return block
        return next(self._blocks)

    def close(self) -> None:
        """Close what is open."""
        self._first = b""
        close = getattr(self._blocks, "close", None)
        if close:
            close()


@dataclass(slots=True)
class _Job:
    digest: str
    size: int
    start: int
    end: int
    nodes: Iterator[tuple[str, Backend]]
    fallback: Fallback
    listener: Listener
    givers: list[str] = field(default_factory=list)
    finisher: Turn | None = None

    @property
    def whole(self) -> bool:
        return (self.start, self.end) == (0, self.size)

    def checked(self) -> Iterator[bytes]:
        """A small file: only what has the digest is sent."""
        for name, backend in self.nodes:
            data = self._whole_from(name, backend)
            if data is not None:
                yield from _cut(data[self.start : self.end])
                return
        data = b"".join(self._from_fallback(self.start))
        if self.whole and sha256(data).hexdigest() != self.digest:
            raise NodeError("digest_mismatch", "No node has the file, and our own has other bytes.")
        yield from _cut(data)

    def _whole_from(self, name: str, backend: Backend) -> bytes | None:
        turn = self._turn(name)
        try:
            data = b"".join(turn.blocks(backend, self.digest, 0, self.size))
        except NodeError as error:
            turn.end(error.code, ok=False)
            return None
        except BaseException:
            turn.end("closed")
            raise
        if sha256(data).hexdigest() != self.digest:
            turn.end("corrupt", ok=False)
            self.listener.doubted((name,))
            return None
        turn.end(ok=True)
        return data

    def checked_by_block(self, hashes: Sequence[bytes]) -> Iterator[bytes]:
        """A larger file, of which each MiB is known: only what is right is sent."""
        at = self.start - self.start % SMALL  # a block is judged whole, and what was not asked for is left out
        stop = min(self.size, -(-self.end // SMALL) * SMALL)
        for name, backend in self.nodes:
            turn = self._turn(name)
            try:
                with closing(_regrouped(turn.blocks(backend, self.digest, at, stop))) as arriving:
                    for block in arriving:
                        if sha256(block).digest() != hashes[at // SMALL]:
                            turn.end("corrupt", ok=False)
                            self.listener.doubted((name,))
                            break
                        begin, end = max(self.start - at, 0), self.end - at
                        at += len(block)
                        yield from _cut(block[begin:end])
                    else:
                        turn.end(ok=True)
                        return
            except NodeError as error:
                turn.end(error.code, ok=False)
            except BaseException:
                turn.end("closed")
                raise
            if at >= self.end:
                return
        yield from self._from_fallback(max(at, self.start))

    def passed_on(self) -> Iterator[bytes]:
        """A larger file, block by block; of a whole one the last block only when the digest is right."""
        at, hashed, last = self.start, sha256(), b""
        with closing(self._from_anywhere()) as blocks:
            for block in blocks:
                at += len(block)
                if self.whole:
                    hashed.update(block)
                if at < self.end:
                    yield block
                last = block
        if self.whole and hashed.hexdigest() != self.digest:
            self._blame()
            raise NodeError("digest_mismatch", "The bytes that were sent are not the file's; its end is held back.")
        if self.finisher is not None:
            self.finisher.end(ok=True)
        yield last

    def _from_anywhere(self) -> Generator[bytes, None, None]:
        """Blocks up to the end. The turn of the node that gives the last is ended by who knows the digest."""
        at = self.start
        for name, backend in self.nodes:
            turn = self._turn(name)
            try:
                with closing(turn.blocks(backend, self.digest, at, self.end)) as blocks:
                    for block in blocks:
                        at += len(block)
                        yield block
            except NodeError as error:
                turn.end(error.code, ok=False)
            except BaseException:
                turn.end("closed")
                raise
            else:
                self.givers.append(name)
                self.finisher = turn
                return
            if turn.size:
                self.givers.append(name)
        yield from self._from_fallback(at)

    def _from_fallback(self, at: int) -> Iterator[bytes]:
        left = self.end - at
        for block in self.fallback(at, self.end):
            left -= len(block)
            if left < 0:
                break
            yield block
        if left:
            raise NodeError("incomplete", "Our own storage gave another number of bytes than the file has.")

    def _turn(self, name: str) -> Turn:
        self.listener.opened(name)
        return Turn(name, self.listener)

    def _blame(self) -> None:
        if self.finisher is not None:
            alone = self.givers == [self.finisher.node]
            self.finisher.end("corrupt" if alone else "doubtful", ok=False if alone else None)
        if self.givers:
            self.listener.doubted(tuple(self.givers))


def _regrouped(pieces: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """The same bytes in blocks of a MiB, the last one shorter."""
    with closing(pieces):
        held = bytearray()
        for piece in pieces:
            held += piece
            while len(held) >= SMALL:
                yield bytes(held[:SMALL])
                del held[:SMALL]
        if held:
            yield bytes(held)


def _cut(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), BLOCK):
        yield data[at : at + BLOCK]
