"""Mirror nodes for tests of the product: real servers, their rows, and copies on them."""

from pathlib import Path

from balancing import health, picker, services, snapshot
from balancing.models import Kind, Node, Replica
from balancing.replication import transfer
from tests.balancing.node.servers import KEY, Server

KEYS = {"k1": KEY.hex()}


class Nodes:
    """`nodes.start("a")` runs a node and adds it, up; `nodes.copy()` brings every wanted copy to its node."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.servers = folder, {}

    def start(self, name: str, **fields) -> Server:
        server = self.servers[name] = Server(self._folder / name, name=name)
        services.add(Node(name=name, kind=Kind.SERVER, url=server.url, **fields), actor="test")
        health.probed(name, True, 0.01)
        self.forget()
        return server

    def copy(self) -> None:
        for digest, node in Replica.objects.filter(state="pending").values_list("digest", "node_id"):
            assert transfer.copy(digest, node) == "verified"
        self.forget()

    def forget(self) -> None:
        """What this process has seen of nodes and copies, so that a test need not wait a second."""
        picker.reset()
        snapshot.reset()

    def stop(self) -> None:
        for server in self.servers.values():
            server.kill()
