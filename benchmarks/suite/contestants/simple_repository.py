# ruff: noqa: D102 - the base class says what each method does
"""simple-repository-server: one process of uvicorn over a folder of files."""

from benchmarks.suite.contestant import Contestant, World
from benchmarks.suite.environments import installed
from benchmarks.suite.servers import Server, clean_environment, free_port


class SimpleRepository(Contestant):
    """As installed; it takes no uploads."""

    name = "simple-repository"
    what = "simple-repository-server as installed, over a folder"

    def start(self, world: World) -> None:
        program = installed("simple-repository-server") / "simple-repository-server"
        folder = world.home / "packages"
        world.corpus.copy_into(folder)
        self.port = free_port()
        command = [program, "--host", "127.0.0.1", "--port", str(self.port), folder]
        self.servers.append(Server(command, self.port, world.home / "log", clean_environment()))
        self.servers[0].wait("/simple/")
