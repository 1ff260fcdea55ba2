# ruff: noqa: D102 - the base class says what each method does
"""pypiserver: one process over a folder of files."""

from benchmarks.suite.contestant import Contestant, World
from benchmarks.suite.environments import installed
from benchmarks.suite.servers import Server, clean_environment, free_port


class Pypiserver(Contestant):
    """As installed, nobody asked for a password."""

    name = "pypiserver"
    what = "pypiserver as installed, which is wsgiref without a cache, and no passwords"
    upload_path = "/"

    def start(self, world: World) -> None:
        program = installed("pypiserver") / "pypi-server"
        folder = world.home / "packages"
        world.corpus.copy_into(folder)
        self.port = free_port()
        command = [program, "run", "-i", "127.0.0.1", "-p", str(self.port), "-a", ".", "-P", ".", "--disable-fallback"]
        self.servers.append(Server([*command, folder], self.port, world.home / "log", clean_environment()))
        self.servers[0].wait()
