"""Where the time of one small upload goes: the product's own WSGI application in this process, one upload at a time.

Used by `python -m benchmarks.uploads --profile`. The seconds of the steps are those of the profiler, which makes
Python slower and waiting not: their order counts, and the counts of statements, round trips and fsyncs are exact.
"""

import cProfile
import io
import os
import pstats
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

COUNT = 200  # uploads under the profiler

# Each step by its function; a step's time is all that happens within it.
STEPS = (
    ("identity", "identity.py", "identify"),
    ("limits", "throttles.py", "admit"),
    ("room", "stock.py", "look"),
    ("room reserved", "stock.py", "take"),
    ("form read and spooled", "request.py", "read_form"),
    ("looked up in the catalogue", "standing.py", "stand"),
    ("archive and metadata examined", "examine.py", "examine"),
    ("judged by rules of the catalogue", "services.py", "_judge"),
    ("bytes stored durably", "store.py", "put"),
    ("fsync of files and folders", "", "fsync"),
    ("blob rows", "store.py", "claim"),
    ("journal and audit rows", "changes.py", "note"),
    ("last serials", "changes.py", "finish"),
    ("pages marked dirty", "versions.py", "mark_dirty"),
    ("database commit", "base.py", "_commit"),
    ("page versions published", "versions.py", "publish"),
    ("all SQL statements", "utils.py", "_execute_with_wrappers"),
    ("waiting for Redis", "socket.py", "recv"),
    ("the whole upload", "wsgi.py", "__call__"),
)


def report(count: int = COUNT) -> None:
    """Send uploads to the application here and print their steps, slowest first, and what each costs."""
    application, authorization = _application()
    from benchmarks.uploads import forms  # noqa: PLC0415 - after Django

    bodies = list(forms("profiled", count + 20, several=True))
    for body in bodies[:20]:
        _post(application, authorization, body)
    with counting() as counts:
        for body in bodies[20:40]:
            _post(application, authorization, body)
    profile = cProfile.Profile()
    profile.enable()
    for body in bodies[40:]:
        _post(application, authorization, body)
    profile.disable()
    _print_steps(pstats.Stats(profile), len(bodies) - 40)
    print("one upload:", ", ".join(f"{value / 20:.1f} {name}" for name, value in sorted(counts.items())))
    if os.environ.get("UPLOAD_STEPS_ALL"):
        pstats.Stats(profile).sort_stats("tottime").print_stats(60)


def _print_steps(stats: pstats.Stats, count: int) -> None:
    found = []
    for name, file, function in STEPS:
        for (path, _, called), (_, calls, _, seconds, _) in stats.stats.items():  # type: ignore[attr-defined]
            if (path.endswith("/" + file) and called == function) or (not file and f".{function}" in called):
                found.append((seconds / count * 1_000, calls / count, name, path))
    print(f"{'step':40}{'ms':>8}{'calls':>8}")
    for milliseconds, calls, name, _ in sorted(found, reverse=True):
        print(f"{name:40}{milliseconds:8.2f}{calls:8.1f}")


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count SQL statements, fsyncs and round trips to Redis of this thread's work."""
    from django.db import connection  # noqa: PLC0415 - after Django
    from redis.connection import AbstractConnection  # noqa: PLC0415

    counts: Counter[str] = Counter()
    fsync, send = os.fsync, AbstractConnection.send_packed_command

    def counted_statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        counts["SQL statements"] += 1
        return execute(sql, params, many, context)

    def counted_fsync(fd: int) -> None:
        counts["fsyncs of files and folders"] += 1
        fsync(fd)

    def counted_send(self: Any, *arguments: Any, **more: Any) -> None:
        counts["round trips to Redis"] += 1
        send(self, *arguments, **more)

    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(counted_statement))
        stack.callback(setattr, os, "fsync", fsync)
        stack.callback(setattr, AbstractConnection, "send_packed_command", send)
        os.fsync, AbstractConnection.send_packed_command = counted_fsync, counted_send  # type: ignore[method-assign]
        yield counts


def _application() -> tuple[Any, str]:
    """The WSGI application over an empty database of its own, and the header of somebody who may upload."""
    from tests.support import databases, live, plugin  # noqa: PLC0415 - sets the environment

    os.environ["DJANGO_SETTINGS_MODULE"] = "pkgindex.settings"
    home = plugin.HOME / "profiled"
    home.mkdir()
    databases.own_database(home, live._set_up)  # noqa: SLF001 - a live server without its server
    before = dict(os.environ)
    os.environ.update({"PKGINDEX_DATA": str(home)} | databases.variables(home))
    from pkgindex.wsgi import application  # noqa: PLC0415

    os.environ.update(before)  # what cleans up at the end looks there
    return application, "Basic " + b64encode(f"__token__:{live.TOKEN}".encode()).decode()


def _post(application: Any, authorization: str, body: bytes) -> None:
    from tests.support.uploads import KIND  # noqa: PLC0415

    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/legacy/", "SCRIPT_NAME": "", "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1", "HTTP_AUTHORIZATION": authorization, "CONTENT_TYPE": KIND,
        "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http", "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }  # fmt: skip
    response = application(environ, lambda status, _headers, _info=None: statuses.append(status))
    text = b"".join(response)
    response.close()
    if statuses != ["200 OK"]:
        raise SystemExit(f"refused: {statuses} {text[:300]!r}")
