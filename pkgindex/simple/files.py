"""Large pages as files in `PAGES_DIR`: made, kept and sent without ever being in a process's memory as a whole.

Layout (a documented contract: another front end of the host may read it). `<key>` is the first 32 hex digits of the
SHA-256 of the page's key in Redis, `page:b:…` as `pkgindex.simple.pagecache` documents it.

    <key>.json                          two lines of JSON: what there is, and where its blocks are for the next build
    <key>.<tag>.identity|gzip|zstd      the bytes in that content coding; `<tag>` begins the entity tag

The first line has `page` (the key in Redis), `version`, `serial`, `etag` as the hash in Redis has them, and the size of
each coding under its name. It is written last and replaced by a rename; the older bytes go then, and whoever sends
them still has them open. The folder holds nothing that SQL does not: it may be emptied at any time.
"""

import hashlib
import io
import json
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import zstandard
from django.conf import settings

from pkgindex.simple.blocks import PIECE, Beat, Block, Draft, Held
from pkgindex.simple.negotiate import Encoding

LEVEL = 1  # of gzip and zstd: a higher one costs more time than it saves
MOST_BYTES = 4 << 30  # of the folder; pages made longest ago go first
LEFT_BEHIND = 3_600  # seconds after which an unfinished file is one that a crash left


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a page; sizes are bytes."""

    page: str
    version: int
    serial: int
    etag: str
    identity: int
    gzip: int
    zstd: int

    def path(self, encoding: Encoding) -> Path:
        """The file with the bytes in that coding."""
        return _folder() / f"{_key(self.page)}.{self.etag[:32]}.{encoding.value}"

    def size(self, encoding: Encoding) -> int:
        """Bytes in that coding."""
        return {Encoding.IDENTITY: self.identity, Encoding.GZIP: self.gzip, Encoding.ZSTD: self.zstd}[encoding]


def look(page: str, encoding: Encoding) -> Kept | None:
    """What is kept of the page with that key in Redis, if the bytes in that coding are."""
    try:
        with _manifest(page).open(encoding="utf-8") as file:
            kept = Kept(**json.loads(file.readline()))
    except (OSError, ValueError, TypeError):
        return None
    return kept if kept.page == page and kept.path(encoding).exists() else None


@contextmanager
def scratch(most_in_memory: int) -> Iterator[IO[bytes]]:
    """A file for new blocks, on disk only where it becomes large. Raises OSError where the folder cannot be made."""
    _folder().mkdir(parents=True, exist_ok=True)
    with tempfile.SpooledTemporaryFile(most_in_memory, dir=str(_folder())) as file:
        yield file


@contextmanager
def held(page: str) -> Iterator[Held | None]:
    """The page that is kept, to be made new again; None where there is none."""
    try:
        with _manifest(page).open(encoding="utf-8") as manifest:
            kept, more = Kept(**json.loads(manifest.readline())), json.loads(manifest.readline())
        file = kept.path(Encoding.IDENTITY).open("rb")
    except (OSError, ValueError, TypeError):
        yield None
        return
    with file:
        whole = kept.page == page and file.seek(0, io.SEEK_END) == kept.identity
        blocks = [Block(key, label, offset, length, file) for key, label, offset, length in more["blocks"]]
        yield Held(more["owner"], kept.serial, blocks) if whole else None


def keep(page: str, version: int, salt: bytes, draft: Draft, beat: Beat) -> Kept:
    """Put the page together and keep it in every coding, in place of an older one. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="tmp", dir=_folder()) as unfinished:
        etag, sizes = _write(Path(unfinished), salt, draft, beat)
        kept = Kept(page, version, draft.top.serial, etag, **sizes)
        for encoding in Encoding:
            (Path(unfinished) / encoding.value).replace(kept.path(encoding))
        manifest = Path(unfinished) / "json"
        places = {"owner": draft.owner, "blocks": list(draft.places())}
        manifest.write_text(f"{json.dumps(asdict(kept))}\n{json.dumps(places)}\n", encoding="utf-8")
        manifest.replace(_manifest(page))
    _remove(_key(page), spare=kept.etag[:32])
    trim()
    return kept


def drop(page: str) -> None:
    """Keep nothing of the page any more."""
    _remove(_key(page))


def trim(most: int = MOST_BYTES) -> None:
    """Remove what a crash left behind, and the pages made longest ago while the folder holds more than `most` bytes."""
    found: list[tuple[float, int, Path]] = []
    for path in _folder().iterdir():
        with suppress(OSError):  # somebody else was quicker
            facts = path.stat()
            if path.name.startswith("tmp") and facts.st_mtime < time.time() - LEFT_BEHIND:
                shutil.rmtree(path, ignore_errors=True)
            elif not path.name.startswith("tmp"):
                found.append((facts.st_mtime, facts.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size


def _write(folder: Path, salt: bytes, draft: Draft, beat: Beat) -> tuple[str, dict[str, int]]:
    digest = hashlib.sha256(salt)
    coders: dict[Encoding, Any] = {
        Encoding.GZIP: zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS),
        Encoding.ZSTD: zstandard.ZstdCompressor(level=LEVEL).compressobj(),
    }
    with (
        (folder / Encoding.IDENTITY.value).open("wb") as identity,
        (folder / Encoding.GZIP.value).open("wb") as gzip,
        (folder / Encoding.ZSTD.value).open("wb") as zstd,
    ):
        files = {Encoding.GZIP: gzip, Encoding.ZSTD: zstd}
        for piece in _even(draft.pieces()):
            beat()
            digest.update(piece)
            identity.write(piece)
            for encoding, coder in coders.items():
                files[encoding].write(coder.compress(piece))
        for encoding, coder in coders.items():
            files[encoding].write(coder.flush())
        sizes = {file.name.rpartition("/")[2]: file.tell() for file in (identity, gzip, zstd)}
    return digest.hexdigest(), sizes


def _even(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one size: equal pages compress to equal bytes, however they were put together."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    if waiting:
        yield bytes(waiting)


def _remove(key: str, *, spare: str | None = None) -> None:
    for path in _folder().glob(f"{key}.*"):
        if spare is None or path.name.split(".")[1] not in {spare, "json"}:
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(settings.PAGES_DIR)


def _manifest(page: str) -> Path:
    return _folder() / f"{_key(page)}.json"


def _key(page: str) -> str:
    return hashlib.sha256(page.encode()).hexdigest()[:32]
