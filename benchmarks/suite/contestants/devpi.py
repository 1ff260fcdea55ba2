# ruff: noqa: D102 - the base class says what each method does
"""devpi-server: one process, waitress with 50 threads, SQLite."""

import httpx

from benchmarks.suite.contestant import Contestant, World
from benchmarks.suite.environments import installed
from benchmarks.suite.servers import Server, clean_environment, free_port, run

PASSWORD = "benchmark"  # noqa: S105 - of a server that lives for minutes on loopback


class Devpi(Contestant):
    """An index `root/dev` without bases; reads are anonymous, uploads carry a login's token."""

    name = "devpi"
    what = "devpi-server as installed, one index without bases, no password needed to read"
    simple = "/root/dev/+simple/"
    upload_path = "/root/dev/"

    def start(self, world: World) -> None:
        programs = installed("devpi-server")
        data = world.home / "data"
        environment = clean_environment(PYTHONWARNINGS="ignore")
        init = [programs / "devpi-init", "--serverdir", data, "--no-root-pypi", "--root-passwd", PASSWORD]
        run(init, env=environment)
        self.port = free_port()
        command = [programs / "devpi-server", "--serverdir", data, "--host", "127.0.0.1", "--port", str(self.port)]
        self.servers.append(Server(command, self.port, world.home / "log", environment))
        self.servers[0].wait("/+api")
        json = {"Accept": "application/json"}
        login = httpx.post(f"{self.url}/+login", json={"user": "root", "password": PASSWORD}, headers=json, timeout=30)
        token = ("root", login.raise_for_status().json()["result"]["password"])
        index = {"type": "stage", "bases": [], "volatile": True}
        httpx.put(f"{self.url}/root/dev", json=index, auth=token, headers=json, timeout=30).raise_for_status()
        self.auth = token
        self.upload_all(world.corpus)
