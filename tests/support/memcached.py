"""A real Memcached for tests."""

import atexit
import getpass
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field

import pytest

from tests.support.servers import free_port, wait_for_port


@dataclass
class MemcachedServer:
    """memcached with its default limit of a mebibyte an item; `stop` and `start` keep the port and lose the data."""

    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "MemcachedServer":
        binary = shutil.which("memcached")
        if binary is None:
            assert not os.environ.get("CI"), "memcached is not installed"
            pytest.skip("memcached is not installed")
        command = [binary, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-m", "64", "-u", getpass.getuser()]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.stop)
        wait_for_port(self.port)
        return self

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        self.process = None
