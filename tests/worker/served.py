"""gunicorn with our worker and an application, and raw talk with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from tests.support.servers import free_port, wait_for_port

ROOT = Path(__file__).parents[2]
WORKER = "pkgindex.worker.loop.Worker"


def until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


@dataclass
class Served:
    """One worker process; `options` are gunicorn's."""

    directory: Path
    options: tuple[str, ...] = ()
    worker: str = WORKER
    threads: int = 2
    more: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.port = free_port()
        command = [sys.executable, "-m", "gunicorn", "tests.worker.application", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--worker-class", self.worker, "--threads", str(self.threads), "--no-control-socket"]
        command += ["--graceful-timeout", "10", "--log-level", "warning", *self.options]
        (self.directory / "ready").mkdir(exist_ok=True)
        own = {"DJANGO_SETTINGS_MODULE": "tests.settings", "READY_FOLDER": str(self.directory / "ready")}
        environment = os.environ | own | self.more
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        wait_for_port(self.port)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            for child in psutil.Process(self.process.pid).children():
                child.kill()
            self.process.kill()
            self.process.wait(5)

    @property
    def log_path(self) -> Path:
        return self.directory / "gunicorn.log"

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self.log_path.read_text()

    def worker_process(self) -> psutil.Process:
        """The process that answers."""
        end = time.monotonic() + 10
        while not psutil.Process(self.process.pid).children() and time.monotonic() < end:
            time.sleep(0.02)
        return psutil.Process(self.process.pid).children()[0]

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        return psutil.Process(self.process.pid).children()

    def wait_for_workers(self, count: int, seconds: float = 10.0) -> None:
        """Return when so many are in their main loops."""
        ready = self.directory / "ready"
        if not until(lambda: sum((ready / str(one.pid)).exists() for one in self.workers()) >= count, seconds):
            raise TimeoutError(f"there are no {count} workers after {seconds} s")

    def connect(self, receive_buffer: int = 0) -> "Talk":
        """A connection of one's own."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", self.port))
        return Talk(sock)

    def ask(self, raw: bytes) -> "Answer":
        """The answer to these bytes over a connection of their own."""
        with self.connect() as talk:
            return talk.ask(raw)


class Answer(NamedTuple):
    """What came back; names of fields are in small letters."""

    status: int
    fields: dict[str, str]
    body: bytes


class Talk:
    """One connection, read through one buffer, so that answers may follow each other closely."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self._file = sock, sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()
        self.sock.close()

    def send(self, raw: bytes) -> None:
        """Send, and wait for nothing."""
        self.sock.sendall(raw)

    def ask(self, raw: bytes) -> Answer:
        """Send and read one answer."""
        self.send(raw)
        return self.read(has_body=not raw.startswith(b"HEAD"))

    def read(self, *, has_body: bool = True) -> Answer:
        """The next answer."""
        status, fields = self.read_head()
        while status == 100:
            status, fields = self.read_head()
        return Answer(status, fields, self._file.read(int(fields.get("content-length", 0))) if has_body else b"")

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Status and fields of the next answer; its body is left."""
        line = self._file.readline()
        assert line.startswith(b"HTTP/1."), line
        fields = {}
        while (line_of_field := self._file.readline()) not in {b"\r\n", b""}:
            name, _, value = line_of_field.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return int(line.split()[1]), fields

    def read_bytes(self, count: int) -> bytes:
        """So many bytes of a body, fewer at its end."""
        return self._file.read(count)

    def is_closed(self, seconds: float) -> bool:
        """Whether the other side closes within this time."""
        self.sock.settimeout(seconds)
        try:
            return self._file.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


def request(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: testserver", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")
