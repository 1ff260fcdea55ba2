"""From the bytes of a plain request to its environment of WSGI, and from an answer to the bytes before its body.

Clients say the same about themselves in every request over a connection. gunicorn's own parser therefore reads a block
of header fields once; a request with the same block has the same environment, but for method, path, port and the entity
tags of what the client has already. What is found out about the fields may be kept there (`FIELDS`). And installers
come again for the same hundred pages: of a request whose bytes came lately nothing is read at all, and what is found
out about it may be kept too (`SAME`).
"""

import re
import time
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from gunicorn import SERVER, util
from gunicorn.http import wsgi
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from pkgindex.worker import DECIDED, FIELDS, LINES, SAME, TAGS

# What needs no decoding and no query; `//` is left to gunicorn, which has its own mind about it.
LINE = re.compile(rb"\A(GET|HEAD) (/(?!/)[A-Za-z0-9._~/+-]*) HTTP/1\.1\r\n")
# Between the lines before and after it; one that is long, or goes on in the next line, is gunicorn's.
KNOWN = re.compile(rb"\r\n[Ii]f-[Nn]one-[Mm]atch: ([!-~](?:[ -~]{0,998}[!-~])?)(?=\r\n[^ \t])")
BEGINNING = re.compile(rb"[A-Z]{1,10}(?:\Z| )")
END = b"\r\n\r\n"
MOST_BLOCKS = 512  # a block and its environment take about 3 KB
LONGEST_BLOCK = 4_096  # bytes; longer ones are read each time
MOST_WHOLE = 2_048  # requests; one and its environment take some 3 KB
LONGEST_WHOLE = 1_536  # bytes
OF_ONE_REQUEST = ("REQUEST_METHOD", "PATH_INFO", "RAW_URI", "REMOTE_PORT")
BODIES = ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE")

Environ = dict[str, Any]


class Heads:
    """Reads requests that are whole, have no body and keep their connection; None for all others.

    `cfg` is gunicorn's configuration.
    """

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self._blocks: dict[tuple[bytes, str], Environ | None] = {}
        self._whole: dict[tuple[bytes, str], Environ] = {}

    def environ(self, data: bytes, client: Any, server: Any) -> Environ | None:
        """The environment of the request that `data` is; `client` and `server` are addresses of sockets."""
        key = data, "" if isinstance(client, str | bytes) else client[0]
        known = self._whole.get(key)
        if known is None:
            known = self._new(data, client, server)
            if known is None:
                return None
            if len(data) <= LONGEST_WHOLE:
                if len(self._whole) >= MOST_WHOLE:
                    self._whole.clear()
                self._whole[key] = known
        environ = known.copy()
        if key[1]:
            environ["REMOTE_PORT"] = str(client[1])
        return environ

    def _new(self, data: bytes, client: Any, server: Any) -> Environ | None:
        line = LINE.match(data)
        if line is None or data.find(END) != len(data) - len(END):
            return None
        known = KNOWN.search(data, line.end() - 2)
        common = data[: known.start()] + data[known.end() :] if known else data
        shared = self._shared(common, line.end(), client, server)
        if shared is None or (known and TAGS in shared):  # the latter has it twice
            return None
        path = line[2].decode("ascii")
        environ = shared | {"REQUEST_METHOD": line[1].decode("ascii"), "PATH_INFO": path, "RAW_URI": path}
        if known:
            environ[TAGS] = known[1].decode("ascii")
        environ[SAME] = {}
        return environ

    def _shared(self, data: bytes, start: int, client: Any, server: Any) -> Environ | None:
        """What all requests with this block of fields from this address have in common; None where one is unusual."""
        if len(data) - start > LONGEST_BLOCK:
            return self._read(data, client, server)
        key = data[start:], "" if isinstance(client, str | bytes) else client[0]
        try:
            return self._blocks[key]
        except KeyError:
            if len(self._blocks) >= MOST_BLOCKS:
                self._blocks.clear()
            found = self._blocks[key] = self._read(data, client, server)
            return found

    def _read(self, data: bytes, client: Any, server: Any) -> Environ | None:
        try:
            request = Request(self._cfg, IterUnreader(iter([data])), client)
            if request.should_close():
                return None
            _, environ = wsgi.create(request, None, client, server, self._cfg)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, gunicorn tells its client
            return None
        if any(name in environ for name in BODIES):
            return None
        text = {name: value for name, value in environ.items() if isinstance(value, str) and name not in OF_ONE_REQUEST}
        return text | {FIELDS: {}}


def is_begun(data: bytes) -> bool:
    """Whether this can be the beginning of a request whose fields have not all come; anything else is answered now."""
    return END not in data and BEGINNING.match(data) is not None


def head(status: int, fields: list[tuple[str, str]]) -> bytes:
    """Status line and fields of an answer that keeps its connection."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    return f"{_beginning(status, int(time.time()))}{lines}\r\n".encode("latin-1")


@lru_cache(maxsize=8)
def _beginning(status: int, _second: int) -> str:
    date = util.http_date()
    return f"HTTP/1.1 {LINES[status]}\r\nServer: {SERVER}\r\nDate: {date}\r\nConnection: keep-alive\r\n"


def log_record(environ: Environ, reply: Any) -> tuple[Any, list[tuple[str, str]], Environ]:
    """What gunicorn's access log is told: answer, fields of the request, environment. All of it counts as sent."""
    length = dict(reply.fields).get("Content-Length", "0") if environ["REQUEST_METHOD"] == "GET" else "0"
    answer = SimpleNamespace(status=LINES[reply.status], headers=reply.fields, sent=int(length))
    asked = [(name[5:].replace("_", "-"), value) for name, value in environ.items() if name.startswith("HTTP_")]
    return answer, asked, {name: value for name, value in environ.items() if name not in {DECIDED, FIELDS, SAME}}
