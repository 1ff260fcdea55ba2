"""Whether pages stay as fast, and processes as small, when an index grows.

    python -m benchmarks.scale [--projects 200000] [--files 1000000] [--rounds 5]

Needs redis-server. Two servers of the whole product, gunicorn with our own configuration and two workers each: one
with 200 projects of 1,000 files together, one with as many as asked for (`manage.py load_synthetic`: minutes). In turns
they are asked for pages of single projects over one kept connection, with a token and with limits in force: 300 pages
that nobody asked for before, which are built from SQL, and the same pages again. Printed are the medians of both, their
ratio between the two servers within each round, and each worker's memory, at the start and when the list of all
projects has been asked for too. Targets: a warm page at most 1.1 times as slow, a worker of at most 150 MB.
"""

import argparse
import http.client
import random
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from pathlib import Path

import psutil
from tqdm import tqdm

from benchmarks.suite import corpus
from benchmarks.suite.contestants import World
from benchmarks.suite.contestants.ours import Ours

SMALL_PROJECTS, SMALL_FILES = 200, 1_000
PAGES = 300
SLOWER, MEGABYTES = 1.1, 150


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=200_000)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale-") as text:
        servers = [Scaled(SMALL_PROJECTS, SMALL_FILES), Scaled(options.projects, options.files)]
        try:
            for number, one in enumerate(servers):
                one.home = Path(text) / str(number)
                one.home.mkdir()
                one.start(World(one.home, corpus.Corpus(one.home, {}), {}))
            chance = random.Random(1)  # noqa: S311 - no secret
            rounds = [[one.asked(chance) for one in servers] for _ in tqdm(range(options.rounds), desc="rounds")]
            before = [one.largest() for one in servers]
            lists = [one.list_of_all() for one in servers]
            return report(servers, rounds, before, lists)
        finally:
            for one in servers:
                one.stop()


class Scaled(Ours):
    """The product with invented projects."""

    def __init__(self, projects: int, files: int) -> None:
        super().__init__()
        self.projects, self.files = projects, files
        self.names: list[str] = []

    def _fill(self, world: World) -> None:  # noqa: ARG002 - nothing of the corpus
        words = ("--projects", str(self.projects), "--files", str(self.files))
        self.manage("load_synthetic", *words, "--yes-i-know", "--json", seconds=3_600)
        show = "print(*Project.objects.values_list('normalized_name', flat=True))"
        show = f"from pkgindex.catalog.models import Project; {show}"
        self.names = self.manage("shell", "--no-imports", "-c", show).split()

    def asked(self, chance: random.Random) -> tuple[float, float]:
        """Median milliseconds of pages that nobody asked for before, and of the same pages again."""
        names = chance.sample(self.names, min(PAGES, len(self.names)))
        first = self._times(names)
        self._times(names)  # the other worker has them too, with luck
        return first, self._times(names)

    def _times(self, names: list[str]) -> float:
        found = []
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for name in names:
            begun = time.perf_counter()
            self._get(connection, f"/simple/{name}/")
            found.append((time.perf_counter() - begun) * 1_000)
        connection.close()
        return statistics.median(found)

    def list_of_all(self) -> int:
        """Bytes of the list, once in each form."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        size = 0
        for accept in ("text/html", "application/vnd.pypi.simple.v1+json"):
            size += self._get(connection, "/simple/", accept)
        connection.close()
        return size

    def _get(self, connection: http.client.HTTPConnection, path: str, accept: str = "text/html") -> int:
        assert self.auth  # noqa: S101 - start has made it
        secret = b64encode(":".join(self.auth).encode()).decode()
        connection.request("GET", path, headers={"Authorization": f"Basic {secret}", "Accept": accept})
        answer = connection.getresponse()
        size = 0
        while block := answer.read(1 << 16):
            size += len(block)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        return size

    def largest(self) -> float:
        """Megabytes of the larger worker; pages that processes share count in each."""
        workers = psutil.Process(self.servers[0].process.pid).children()
        return max(worker.memory_info().rss for worker in workers) / 1e6


def report(
    servers: list[Scaled], rounds: list[list[tuple[float, float]]], before: list[float], lists: list[int]
) -> int:
    """The table."""
    print(f"{'':28}{'first':>10}{'again':>10}{'MB/worker':>12}{'with list':>12}{'list':>10}")
    for number, one in enumerate(servers):
        first, again = (statistics.median(each[number][which] for each in rounds) for which in (0, 1))
        print(
            f"{one.files:>12,} in {one.projects:>9,}   {first:8.2f}ms{again:8.2f}ms{before[number]:12.0f}"
            f"{one.largest():12.0f}{lists[number] / 1e6:8.1f}MB"
        )
    first, again = (statistics.median(large[which] / small[which] for small, large in rounds) for which in (0, 1))
    print(f"ratio: first {first:.2f}, again {again:.2f} (target {SLOWER})")
    return 0 if again <= SLOWER and servers[1].largest() <= MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
