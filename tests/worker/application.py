"""An application for the worker alone: what it does stands in the path. It says who answered, loop or thread."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

from pkgindex.sending import Window
from pkgindex.worker import DECIDED

FILE = Path(os.environ.get("SENT_FILE", "/dev/null"))
READY = Path(os.environ.get("READY_FOLDER", "/nonexistent"))  # where each process says that it is in its main loop
CLOSED = Path(os.environ.get("CLOSED_LOG", "/dev/null"))
LARGE = b"x" * 3_000_000


def reply(status, fields, body):
    """As `pkgindex.shortway.Reply`."""
    return SimpleNamespace(status=status, fields=fields, body=body)


def text(environ):
    """The environment, as far as it is text."""
    found = {name: value for name, value in sorted(environ.items()) if isinstance(value, str)}
    return json.dumps(found | {"PROCESS": str(os.getpid())}).encode()


def spin(seconds):
    """Keep the processor busy."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def window():
    """The file, whose end is written down: how many bytes went out."""
    found = Window(FILE.open("rb", buffering=0), 0, FILE.stat().st_size)

    def tell(count):
        with CLOSED.open("a") as log:
            log.write(f"{count}\n")

    found.when_closed = tell
    return found


def answered(environ):
    """The answer at once, if this path has one."""
    path = environ["PATH_INFO"]
    fields = [("X-Way", "loop"), ("Content-Type", "text/plain")]
    if path.startswith("/decided"):
        environ[DECIDED] = {"before": path}
        return None
    if path.startswith("/broken"):
        raise RuntimeError("broken on purpose")
    if path.startswith("/spin"):
        spin(0.004)
    if path.startswith("/304"):
        return reply(304, fields, ())
    if path.startswith("/file"):
        body = window()
        return reply(200, [*fields, ("Content-Length", str(body.left))], body)
    if path.startswith("/large"):
        return reply(200, [*fields, ("Content-Length", str(len(LARGE)))], [LARGE])
    if path.startswith(("/at-once", "/spin")):
        body = text(environ)
        fields.append(("Content-Length", str(len(body))))
        return reply(200, fields, [body] if environ["REQUEST_METHOD"] == "GET" else ())
    return None


class Application:
    """As `pkgindex.hits.Hits` shows itself to the worker."""

    kept_up = 0

    def upkeep(self):
        """In a thread, once a second; while it goes wrong, or takes long, requests are answered all the same."""
        self.kept_up += 1
        if READY.is_dir():
            (READY / str(os.getpid())).touch()
        if self.kept_up == 1:
            raise RuntimeError("broken on purpose")
        if self.kept_up == 3:
            time.sleep(4)

    def at_once(self, environs):
        """The answers, which say for how many requests there was one call."""
        replies = [answered(environ) for environ in environs]
        for one in replies:
            if one is not None:
                one.fields.append(("X-Together", str(len(environs))))
        return replies

    def __call__(self, environ, start_response):
        """In a thread."""
        if environ["PATH_INFO"].startswith("/slow"):
            time.sleep(1)
        if environ["PATH_INFO"].startswith("/thread-spin"):
            spin(0.004)
        body = json.dumps(environ[DECIDED]).encode() if DECIDED in environ else text(environ)
        if environ["PATH_INFO"] == "/kept-up":
            body = str(self.kept_up).encode()
        body = environ["wsgi.input"].read() or body
        start_response("200 OK", [("X-Way", "thread"), ("Content-Length", str(len(body)))])
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []


application = Application()
