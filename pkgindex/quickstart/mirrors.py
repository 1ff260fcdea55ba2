"""The mirror nodes that `up` runs on this machine: their ports, their keys, their rows."""

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from balancing import services
from balancing.fleet import Admin
from balancing.models import Kind, Node
from pkgindex.env import ENV_FILE, ROOT, read_file
from pkgindex.quickstart.home import free_port, merge, port_is_free

HOST = "127.0.0.1"
PORTS = "UP_NODE_PORTS"
PREFIX = "local-"
ACTOR = "quick start"


@dataclass(frozen=True, slots=True)
class LocalNode:
    """A node of this machine."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"


def local_nodes(directory: Path, count: int) -> tuple[LocalNode, ...]:
    """`count` nodes with ports and keys that the data directory remembers; a port that somebody took is replaced."""
    if not count:
        return ()
    path = directory / ENV_FILE
    held = read_file(path)
    known = [int(text) for text in held.get(PORTS, "").split(",") if text.isascii() and text.isdigit()]
    ports: list[int] = []
    for number in range(count):
        port = known[number] if number < len(known) else 0
        while not 0 < port < 65_536 or port in ports or not port_is_free(HOST, port):
            port = free_port()
        ports.append(port)
    wanted = {PORTS: ",".join(map(str, ports))}
    if not (os.environ.get("MIRROR_KEYS") or held.get("MIRROR_KEYS")):
        wanted["MIRROR_KEYS"] = f"k1:{secrets.token_hex(32)}"
    merge(path, {name: value for name, value in wanted.items() if held.get(name) != value})
    return tuple(LocalNode(f"{PREFIX}{number}", port) for number, port in enumerate(ports, 1))


def command(directory: Path, node: LocalNode) -> list[str]:
    """What starts the node."""
    root = directory / "mirrors" / node.name
    words = ["mirror_node", "--root", str(root), "--port", str(node.port), "--id", node.name, "--keys-from-settings"]
    return [sys.executable, str(ROOT / "manage.py"), *words]


def register(urls: dict[str, str]) -> list[str]:
    """Give each node its row, with the address it has today; returns what was done, as lines for people.

    Nodes of an earlier start that this one does not run are disabled, and active again when they are back.
    """
    done = []
    known = {node.name: node for node in Node.objects.filter(name__startswith=PREFIX)}
    for name, url in urls.items():
        node = known.pop(name, None)
        if node is None:
            services.add(Node(name=name, kind=Kind.SERVER, url=url), actor=ACTOR)
            done.append(f"mirror node: added '{name}'")
            continue
        if node.url != url:
            node.url = url
            services.save(node, actor=ACTOR)
        if node.state == Admin.DISABLED:
            services.activate(name, actor=ACTOR)
    for name, node in known.items():
        if node.state == Admin.ACTIVE:
            services.disable(name, actor=ACTOR)
            done.append(f"mirror node: disabled '{name}', which is not started this time")
    return done
