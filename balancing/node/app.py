"""A mirror node as a WSGI application: no Django, no database, no Redis.

    MIRROR_ROOT=/srv/mirror MIRROR_KEYS=k1:<hex> gunicorn --threads 16 'balancing.node.app:create()'

| request | answer |
|---|---|
| `PUT /files/<sha256>` | 201 once the file is whole, checked and synced |
| `GET`, `HEAD /files/<sha256>` | the file, or one range of it |
| `GET /probe` | a few bytes, sent as files are: from the disk, and by nginx where it sends the files |
| `DELETE /files/<sha256>` | 204, also where there was none |
| `GET /inventory?after=&limit=` | `{"files": [[sha256, size], ...], "after": ...}` |
| `POST /scrub?sha256=` | `{"intact": true or false}`; a damaged file is removed |
| `GET /health` | free bytes, load, transfers in flight; the only one without a signature |

Errors are `{"code", "detail"}`. Transfers are counted per process: one process with threads knows all of its own.
With `MIRROR_ACCEL=/files-internal/` an nginx in front sends the files (deploy/nginx/mirror-node.conf): the signature is
checked here, then nginx is told the file. What it sends is not counted, uploads are.
"""

import json
import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO
from urllib.parse import parse_qs

from balancing.node.patience import bounded
from balancing.node.ranges import NotSatisfiable, requested
from balancing.node.store import MOST_ITEMS, Store, StoreError
from balancing.signing import Keyring, SignatureError, check

STATUS = {
    "ok": "200 OK",
    "created": "201 Created",
    "deleted": "204 No Content",
    "part": "206 Partial Content",
    "unchanged": "304 Not Modified",
    "incomplete": "400 Bad Request",
    "signature_missing": "401 Unauthorized",
    "signature_invalid": "403 Forbidden",
    "signature_expired": "403 Forbidden",
    "not_found": "404 Not Found",
    "method_not_allowed": "405 Method Not Allowed",
    "too_slow": "408 Request Timeout",
    "length_required": "411 Length Required",
    "range_not_satisfiable": "416 Range Not Satisfiable",
    "digest_mismatch": "422 Unprocessable Content",
    "disk_full": "507 Insufficient Storage",
}
BLOCK = 1 << 16
MOST_UNREAD, LONGEST_UNREAD = 32 << 20, 2.0  # bytes and seconds that a sender who was refused is listened to
Headers = list[tuple[str, str]]
Start = Callable[[str, Headers], object]


class Part:
    """A part of an open file; a server that can use sendfile takes its descriptor and reads nothing of it."""

    def __init__(self, file: BinaryIO, start: int, length: int, done: Callable[[], None]) -> None:
        self._file, self._left, self._done = file, length, done
        self.fileno = file.fileno
        file.seek(start)

    def read(self, size: int = BLOCK) -> bytes:
        """At most `size` bytes; none behind the end of the part."""
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Close the file; servers call it after a transfer, whole or broken."""
        if not self._file.closed:
            self._file.close()
            self._done()


class Node:
    """The application. `clock` gives epoch seconds; `accel` is nginx's internal location of the store's folder."""

    def __init__(self, store: Store, ring: Keyring, clock: Callable[[], float] = time.time, *, accel: str = "") -> None:
        self._store, self._ring, self._clock, self._accel = store, ring, clock, accel
        self._in_flight, self._lock = 0, Lock()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer one request."""
        answer = self._answer(environ, start)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else answer

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if path == "/health" and method in {"GET", "HEAD"}:
            return _json(start, "ok", self._health())
        try:
            target = check(method, f"{path}?{query}", self._ring, self._clock())
            if path.startswith("/files/"):
                return self._file(path.removeprefix("/files/"), environ, start)
            return self._manage(path, parse_qs(target.partition("?")[2]), environ, start)
        except (StoreError, SignatureError) as error:
            answer = _error(start, error.code, str(error))
            return _then_listen(answer, environ) if method == "PUT" else answer
        except TimeoutError:
            return _error(start, "too_slow", "The sender said nothing for too long.")

    def _file(self, digest: str, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match environ["REQUEST_METHOD"]:
            case "GET" | "HEAD":
                return self._send(digest, environ, start)
            case "PUT":
                return self._receive(digest, environ, start)
            case "DELETE":
                self._store.delete(digest)
                start(STATUS["deleted"], [])
                return []
        return _error(start, "method_not_allowed", "Files are read, put and deleted.")

    def _manage(self, path: str, query: dict[str, list[str]], environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match path, environ["REQUEST_METHOD"]:
            case "/probe", "GET":
                return self._probe(environ, start)
            case "/inventory", "GET":
                limit = query.get("limit", [""])[0]
                number = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 9 else MOST_ITEMS
                page = self._store.inventory(query.get("after", [""])[0], number)
                return _json(start, "ok", {"files": page.files, "after": page.after})
            case "/scrub", "POST":
                return _json(start, "ok", {"intact": self._store.scrub(query.get("sha256", [""])[0])})
            case "/inventory" | "/scrub", _:
                return _error(start, "method_not_allowed", "The inventory is read with GET, a file scrubbed with POST.")
        return _error(start, "not_found", "The node has no such page.")

    def _receive(self, digest: str, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or ""
        if not (length.isascii() and length.isdigit()):
            return _error(start, "length_required", "A file is sent with its Content-Length.")
        self._count(1)
        try:
            with bounded(environ, int(length)):
                self._store.put(digest, int(length), environ["wsgi.input"])
        finally:
            self._count(-1)
        return _json(start, "created", {"sha256": digest, "size": int(length)})

    def _send(self, digest: str, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        file, size = self._store.open(digest)
        etag, headers = f'"{digest}"', _headers(digest)
        begin, length, status = 0, size, "ok"
        if etag in environ.get("HTTP_IF_NONE_MATCH", ""):
            file.close()
            start(STATUS["unchanged"], headers)
            return []
        if self._by_nginx(environ):
            file.close()
            return self._hand_over(f"{digest[:2]}/{digest[2:4]}/{digest[4:]}", headers, start)
        # A range of another file than the client has begun would be useless: If-Range, RFC 9110 section 13.1.5.
        if environ.get("HTTP_IF_RANGE", etag).strip() == etag:
            try:
                part = requested(environ.get("HTTP_RANGE"), size)
            except NotSatisfiable:
                file.close()
                more = [("Content-Range", f"bytes */{size}")]
                return _error(start, "range_not_satisfiable", f"The file has {size} bytes.", more)
            if part is not None:
                (begin, length), status = part, "part"
                headers.append(("Content-Range", f"bytes {begin}-{begin + length - 1}/{size}"))
        headers += [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))]
        if environ["REQUEST_METHOD"] == "HEAD":
            file.close()
            start(STATUS[status], headers)
            return []
        start(STATUS[status], headers)
        self._count(1)
        body: Iterable[bytes] = environ["wsgi.file_wrapper"](Part(file, begin, length, lambda: self._count(-1)), BLOCK)
        return body

    def _probe(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        file, size = self._store.open_probe()
        if self._by_nginx(environ):
            file.close()
            return self._hand_over("probe", [], start)
        start(STATUS["ok"], [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
        # It is not counted: who probes would hear of himself.
        body: Iterable[bytes] = environ["wsgi.file_wrapper"](Part(file, 0, size, lambda: None), BLOCK)
        return body

    def _by_nginx(self, environ: dict[str, Any]) -> bool:
        """Whether nginx can answer: it knows ranges, and does not know our tag, which If-Range compares."""
        return bool(self._accel) and environ["REQUEST_METHOD"] == "GET" and "HTTP_IF_RANGE" not in environ

    def _hand_over(self, path: str, headers: Headers, start: Start) -> Iterable[bytes]:
        more = [("X-Accel-Redirect", self._accel + path), ("Content-Type", "application/octet-stream")]
        start(STATUS["ok"], [*headers, *more, ("Content-Length", "0")])
        return []

    def _health(self) -> dict[str, object]:
        return {
            "id": self._ring.audience,
            "free": self._store.free(),
            "load": os.getloadavg()[0],
            "in_flight": self._in_flight,
        }

    def _count(self, change: int) -> None:
        with self._lock:
            self._in_flight += change


def _headers(digest: str) -> Headers:
    """What every answer says of a file. Repr-Digest (RFC 9530) is that of the whole file, also beside a part of it."""
    return [
        ("ETag", f'"{digest}"'),
        ("Repr-Digest", f"sha-256=:{b64encode(bytes.fromhex(digest)).decode()}:"),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "private, max-age=31536000, immutable"),
    ]


def _json(start: Start, code: str, value: object, more: Headers | None = None) -> list[bytes]:
    body = json.dumps(value).encode()
    start(STATUS[code], [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *(more or [])])
    return [body]


def _error(start: Start, code: str, detail: str, more: Headers | None = None) -> list[bytes]:
    return _json(start, code, {"code": code, "detail": detail}, more)


def _then_listen(answer: list[bytes], environ: dict[str, Any]) -> Iterator[bytes]:
    """The answer, and then what is still sent is read for a moment.

    A connection that closes with unread bytes is reset, and an nginx in front that is still sending then says 502
    instead of what we answered.
    """
    yield from answer
    left, end = MOST_UNREAD, time.monotonic() + LONGEST_UNREAD
    with suppress(OSError), bounded(environ, 0, silence=LONGEST_UNREAD):
        while left > 0 and time.monotonic() < end and (data := environ["wsgi.input"].read(BLOCK)):
            left -= len(data)


def create() -> Node:
    """The application as the environment describes it. Raises ValueError or KeyError with what is wrong.

    `MIRROR_ROOT`: the folder; `MIRROR_KEYS`: `id:hex` pairs with commas between, the current one first; `MIRROR_ID`:
    the node's id, which URLs are signed for; `MIRROR_RESERVE`: bytes of the disk that stay free, 1 GB if not set;
    `MIRROR_ACCEL`: the internal location by which an nginx in front sends the files.
    """
    pairs = [pair.partition(":") for pair in os.environ["MIRROR_KEYS"].split(",")]
    keys = {ident.strip(): bytes.fromhex(text) for ident, _, text in pairs}
    ring = Keyring(pairs[0][0].strip(), keys, os.environ.get("MIRROR_ID", ""))
    reserve = int(os.environ.get("MIRROR_RESERVE", "1000000000"))
    accel = os.environ.get("MIRROR_ACCEL", "")
    if accel and not (accel.startswith("/") and accel.endswith("/")):
        raise ValueError("MIRROR_ACCEL is a path that begins and ends with a slash.")
    return Node(Store(Path(os.environ["MIRROR_ROOT"]), reserve=reserve), ring, accel=accel)
