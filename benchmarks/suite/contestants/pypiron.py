# ruff: noqa: D102 - the base class says what each method does
"""pypiron: one process, compiled, over a folder."""

import time

from benchmarks.suite.contestant import Contestant, World
from benchmarks.suite.corpus import MANY, MANY_FILES
from benchmarks.suite.environments import installed
from benchmarks.suite.servers import Server, clean_environment, free_port

SETTLE_SECONDS = 60  # its pages follow uploads after a moment


class Pypiron(Contestant):
    """As installed with one password; reads are anonymous, and it looks for nothing outside this machine."""

    name = "pypiron"
    what = "pypiron as installed (Rust), no password needed to read, advisory feed off"
    upload_path = "/legacy/"

    def start(self, world: World) -> None:
        program = installed("pypiron") / "pypiron"
        self.port = free_port()
        self.auth = ("admin", "benchmark-password")
        environment = clean_environment(PYPIRON_ADMIN_PASS=self.auth[1], HOME=str(world.home))
        command = [program, "serve", "--bind-addr", f"127.0.0.1:{self.port}", "--data-dir", world.home / "data"]
        self.servers.append(Server([*command, "--advisory-feed", ""], self.port, world.home / "log", environment))
        self.servers[0].wait()
        self.upload_all(world.corpus)
        self._settle()

    def _settle(self) -> None:
        import httpx  # noqa: PLC0415 - only here

        end = time.monotonic() + SETTLE_SECONDS
        while httpx.get(self.page_url(MANY), timeout=30).text.count("<a ") < MANY_FILES:
            if time.monotonic() > end:
                raise RuntimeError("its page never listed all uploads")
            time.sleep(0.2)
