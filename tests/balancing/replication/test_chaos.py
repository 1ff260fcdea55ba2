"""Workers and the broker are killed at random, and the fleet converges all the same."""

import os
import random
import time

import pytest

from balancing.models import Replica
from balancing.replication import reaping, requests
from tests.balancing.replication.folder import FolderSource
from tests.balancing.replication.world import Worker, environment, until
from tests.standalone.servers import Redis

SETTINGS = {"LEASE": 2.0, "ATTEMPTS": 60, "TRANSFERS": 3, "BANDWIDTH": 4_000_000}


class World:
    """Files that come and go, two workers, a broker; `beat` is what Celery's beat would have sent."""

    def __init__(self, source, broker, workers, seed):
        self.source, self.broker, self.workers = source, broker, workers
        self.chance = random.Random(seed)
        self.wanted, self.removed = set(), set()

    def publish(self):
        digest = self.source.add(self.chance.randbytes(self.chance.randrange(1, 300_000)))
        self.wanted.add(digest)
        requests.wanted([digest])

    def unpublish(self):
        digest = self.chance.choice(sorted(self.wanted))
        self.source.remove(digest)
        self.wanted.remove(digest)
        self.removed.add(digest)
        requests.unwanted([digest])

    def hurt(self):
        worker = self.chance.choice(self.workers)
        what = self.chance.random()
        if what < 0.3:
            self.broker.stop()
            time.sleep(self.chance.uniform(0, 0.3))
            self.broker.start()
        elif what < 0.65:
            worker.kill()
            worker.start()
        else:
            worker.kill_child(self.chance)

    def live(self):
        for _ in range(self.chance.randrange(3)):
            self.publish()
        if self.wanted and self.chance.random() < 0.2:
            self.unpublish()
        end = time.monotonic() + self.chance.uniform(0.1, 1.0)
        while time.monotonic() < end:
            reaping.reap()
            time.sleep(0.1)

    def settled(self):
        reaping.reap()
        done = dict.fromkeys(self.wanted, "verified") | dict.fromkeys(self.removed, "deleted")
        rows = list(Replica.objects.values_list("digest", "state"))
        return len(rows) == 2 * len(done) and all(done[digest] == state for digest, state in rows)


@pytest.fixture
def world(tmp_path, shared_database, nodes, source, settings, broker, request):
    settings.BALANCING = {**settings.BALANCING, **SETTINGS}
    queue = Redis().start()
    broker.conf.broker_url = f"{queue.url}/0"
    own = environment(source.folder, shared_database, f"{queue.url}/0", os.environ["STANDALONE_REDIS"], **SETTINGS)
    workers = [Worker(own, tmp_path, number).start() for number in range(2)]
    yield World(FolderSource(source.folder), queue, workers, request.param)
    for worker in workers:
        worker.kill()
    queue.close()


def prove(world, nodes, kills, patience):
    for _ in range(kills):
        world.live()
        world.hurt()
    until(world.settled, patience, 0.3)
    originals = {digest: (world.source.folder / digest).read_bytes() for digest in world.wanted}
    for node in nodes:
        assert node.files() == originals
        until(lambda node=node: node.unfinished() == [])
        attempts = dict(Replica.objects.filter(node_id=node.name).values_list("digest", "attempts"))
        puts = [digest for digest, _ in node.puts()]
        for digest in world.wanted:
            assert puts.count(digest) <= attempts[digest] + 1
    assert not Replica.objects.exclude(lease="").exists()


@pytest.mark.parametrize("world", [1], indirect=True)
def test_fleet_converges_after_kills(world, nodes):
    """Ten kills: every file is where it belongs, no half of one is left, none was sent more often than it was tried."""
    prove(world, nodes, 10, 60)


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("world", [2], indirect=True)
def test_fleet_converges_after_two_hundred_kills(world, nodes):
    """The same with two hundred."""
    prove(world, nodes, 200, 120)
