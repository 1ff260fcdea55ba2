"""What tests of streams need: two files, two real nodes that have them, a storage, and a diary of what is told."""

import random
from hashlib import sha256

from balancing.backends import NodeError
from balancing.node.client import NodeClient
from balancing.proxying import Listener, stream
from tests.balancing.node.servers import RING, Server
from tests.standalone.servers import free_port

LARGE = random.Random(4).randbytes(48 << 20)  # more than the sockets between hold, so that a node can die in the middle
LITTLE = random.Random(5).randbytes(300_000)
DIGESTS = {data: sha256(data).hexdigest() for data in (LARGE, LITTLE)}


class Diary:
    """Writes down what the stream tells, and checks that each node that was opened ended once."""

    def __init__(self):
        self.opened, self.ended, self.doubted = [], [], []

    @property
    def listener(self):
        return Listener(self.opened.append, self.ended.append, self.doubted.extend)

    @property
    def outcomes(self):
        assert self.opened == [end.node for end in self.ended]
        assert all(end.seconds >= 0 for end in self.ended)
        return [(end.node, end.ok, end.reason) for end in self.ended]


class Storage:
    """The project's own storage."""

    def __init__(self, data=b"", *, fails_at=None):
        self.data, self.fails_at, self.asked = data, fails_at, []

    def __call__(self, start, end):
        self.asked.append((start, end))
        for at in range(start, end, 100_000):
            if self.fails_at is not None and at >= self.fails_at:
                raise OSError("the disk is gone")
            yield self.data[at : min(at + 100_000, end)]


class Fleet:
    """Two nodes, each with both files; a test may kill one."""

    def __init__(self, folder):
        self.servers = [Server(folder / f"{number}") for number in range(2)]

    def nodes(self, timeout=2.0):
        return [(f"node-{n}", NodeClient(server.url, RING, timeout=timeout)) for n, server in enumerate(self.servers)]

    def plant(self, number, data, damaged):
        path = self.servers[number].path(DIGESTS[data])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(damaged)

    def repair(self):
        """Both nodes run and both files are whole."""
        for number, server in enumerate(self.servers):
            server.go()
            if server.process.poll() is not None:
                server.start()
            for data, digest in DIGESTS.items():
                path = server.path(digest)
                if not path.exists() or path.stat().st_size != len(data) or path.read_bytes() != data:
                    self.plant(number, data, data)

    def close(self):
        for server in self.servers:
            server.go()
            server.kill()


def run(data, nodes, storage, diary, start=0, end=None, hashes=()):
    span = start, len(data) if end is None else end
    return stream(DIGESTS[data], len(data), span, nodes, storage, diary.listener, hashes)


def until_it_breaks(begin):
    """What a client has of a stream when it breaks, and why it does; nothing where it does not begin."""
    found = []
    try:
        for block in begin():
            found.append(block)  # noqa: PERF402 - what came before the error counts
    except NodeError as error:
        return b"".join(found), error.code
    return b"".join(found), ""


def away():
    return NodeClient(f"http://127.0.0.1:{free_port()}", RING, timeout=2)
