"""One view: a script by its digest and a GET in one round trip, then bytes from memory with the headers of ours."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.urls import re_path
from redis import Redis

SCRIPT = "return {1, ARGV[1]}"
KEYS = ("control:limit", "control:version")


def _load() -> dict[tuple[str, str, str], tuple[bytes, list[tuple[str, str]], str]]:
    folder = Path(settings.PAGES)
    found = {}
    for number, one in enumerate(json.loads((folder / "pages.json").read_text())):
        key = (one["path"], one["accept"], one["encoding"])
        found[key] = ((folder / f"{number}.body").read_bytes(), [tuple(pair) for pair in one["headers"]], one["etag"])
    return found


PAGES = _load()
client = Redis.from_url(settings.REDIS_URL)
DIGEST = client.script_load(SCRIPT)
client.set(KEYS[1], "1")
client.close()
_mine = threading.local()


def _command(*words: str | bytes) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word if isinstance(word, bytes) else word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


PACKED = _command("EVALSHA", DIGEST, "1", KEYS[0], "1") + _command("GET", KEYS[1])


def _connection() -> Any:
    connection = getattr(_mine, "connection", None)
    if connection is None:
        connection = _mine.connection = client.connection_pool.connection_class(
            **client.connection_pool.connection_kwargs
        )
    return connection


def lean() -> Any:
    """The round trip over a connection that the thread keeps, with bytes that are ready, as ours makes it."""
    connection = _connection()
    connection.send_packed_command([PACKED], check_health=False)
    return connection.read_response(), connection.read_response()


def pipelined() -> Any:
    """The round trip as redis-py's users write it."""
    pipeline = client.pipeline(transaction=False)
    pipeline.evalsha(DIGEST, 1, KEYS[0], 1)  # type: ignore[no-untyped-call] # of redis
    pipeline.get(KEYS[1])
    return pipeline.execute()


ask = pipelined if settings.WIRE == "usual" else lean


def page(request: HttpRequest) -> HttpResponse:
    """The answer."""
    ask()
    meta = request.META
    found = PAGES.get((request.path, meta.get("HTTP_ACCEPT", ""), meta.get("HTTP_ACCEPT_ENCODING", "")))
    if found is None:
        return HttpResponseNotFound()
    body, headers, etag = found
    same = meta.get("HTTP_IF_NONE_MATCH") == etag
    response = HttpResponse(b"" if same else body, status=304 if same else 200)
    for name, value in headers:
        if not same or name != "Content-Length":
            response[name] = value
    return response


class InTheLoop:
    """What our worker's loop asks: one message for all, bytes from memory, and nothing else."""

    def at_once(self, environs: Sequence[dict[str, Any]]) -> list[Any]:
        """Every answer."""
        connection = _connection()
        connection.send_packed_command([PACKED * len(environs)], check_health=False)
        for _ in range(2 * len(environs)):
            connection.read_response()
        return [self._reply(environ) for environ in environs]

    @staticmethod
    def _reply(environ: dict[str, Any]) -> Any:
        wanted = (environ["PATH_INFO"], environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_ACCEPT_ENCODING", ""))
        found = PAGES.get(wanted)
        if found is None:
            return None
        body, headers, etag = found
        if environ.get("HTTP_IF_NONE_MATCH") == etag:
            return SimpleNamespace(status=304, fields=[one for one in headers if one[0] != "Content-Length"], body=())
        return SimpleNamespace(status=200, fields=headers, body=[body])

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Whatever is not one of the pages."""
        return django(environ, start_response)


urlpatterns = [re_path(r"", page)]
django = get_wsgi_application()
application = InTheLoop() if settings.WIRE == "loop" else django
