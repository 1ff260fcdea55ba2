# ruff: noqa: PLC0415 - Django must be set up before what needs it is imported
"""How fast copies reach two mirror nodes, beside plain concurrent copying of the same files, in one run.

    python -m benchmarks.replicate [--files 1000] [--size 1000000] [--rounds 3]

Needs redis-server or valkey-server on PATH; starts its own, two mirror nodes, and a Celery worker with as many
processes as the control has threads. The control PUTs the same files with httpx over kept connections to the same
nodes; its URLs are signed beforehand. Replication does what it does in production: rows in SQLite, a task per copy
through the broker, leases, checks. Both take turns on nodes that were emptied, and the ratio is the median over rounds.

Target: at least 0.7 times the control's throughput.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TARGET = 0.7
PROCESSES = 8
BEAT = 2.0  # seconds between two runs of the reaper; in production it is 5


def main() -> int:
    """Run both in turn, print a table; 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    from tests.balancing.replication.world import NodeServer, Worker, environment, until
    from tests.standalone.servers import Redis

    with tempfile.TemporaryDirectory(prefix="replicate-") as text:
        folder, queue = Path(text), Redis().start()
        originals = folder / "originals"
        originals.mkdir()
        own = environment(originals, folder / "db.sqlite3", f"{queue.url}/0", queue.url)
        os.environ.update(own)
        nodes = [NodeServer(name, folder) for name in ("n1", "n2")]
        worker = Worker(own, folder, 0, processes=PROCESSES)
        try:
            digests = prepare(originals, nodes, options.files, options.size)
            from tests.balancing.celery_app import app

            worker.start()
            until(lambda: app.control.ping(timeout=1.0))
            found = [one_round(nodes, originals, digests) for _ in range(options.rounds)]
        finally:
            for each in (worker, *nodes):
                each.kill()
            queue.close()
    return report(found, 2 * options.files * options.size)


def prepare(originals: Path, nodes: list, files: int, size: int) -> list[str]:  # type: ignore[type-arg] # of a test's helper
    """The files, the tables and the nodes."""
    import django

    django.setup()
    from django.core.management import call_command

    import tests.balancing.celery_app  # noqa: F401 - the broker, and a database for several writers
    from balancing import services
    from balancing.models import Node
    from tests.balancing.replication.folder import FolderSource

    source, chance = FolderSource(originals), random.Random(1)  # noqa: S311 - no secret  # noqa: S311 - no secret
    digests = [source.add(chance.randbytes(size)) for _ in range(files)]
    call_command("migrate", verbosity=0)
    for one in nodes:
        one.start()
        services.add(Node(name=one.name, url=one.url), actor="benchmark")
    return digests


def one_round(nodes: list, originals: Path, digests: list[str]) -> tuple[float, float]:  # type: ignore[type-arg] # as above
    """Seconds that the control took, and that replication took."""
    empty(nodes)
    control = plain(nodes, originals, digests)
    empty(nodes)
    return control, replicated(digests)


def empty(nodes: list) -> None:  # type: ignore[type-arg] # as above
    """Take everything from the nodes and from the table."""
    from balancing.models import Replica

    Replica.objects.all().delete()
    for one in nodes:
        for path in one.root.glob("??/??/*"):
            path.unlink()
    os.sync()


def plain(nodes: list, originals: Path, digests: list[str]) -> float:  # type: ignore[type-arg] # as above
    """The control."""
    import httpx

    from balancing import conf
    from balancing.signing import sign

    far = int(time.time()) + 86_400
    rings = {one.name: conf.get().keyring(one.name) for one in nodes}
    work = [
        (f"{one.url}{sign('PUT', f'/files/{each}', rings[one.name], far)}", each) for each in digests for one in nodes
    ]
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(PROCESSES) as pool:
        started = time.perf_counter()

        def put(one: tuple[str, str]) -> None:
            url, digest = one
            path = originals / digest
            with path.open("rb") as file:
                headers = {"Content-Length": str(path.stat().st_size)}
                client.put(url, content=iter(lambda: file.read(1 << 16), b""), headers=headers).raise_for_status()

        list(pool.map(put, work))
        return time.perf_counter() - started


def replicated(digests: list[str]) -> float:
    """From the request to the last verified copy; what beat would send is sent here."""
    from balancing.models import Replica
    from balancing.replication import reaping, requests

    started = time.perf_counter()
    requests.wanted(digests)
    reaped = 0.0
    while Replica.objects.filter(state="verified").count() < 2 * len(digests):
        if time.perf_counter() - reaped > BEAT:
            reaped = time.perf_counter()
            reaping.reap()
        time.sleep(0.1)
        if time.perf_counter() - started > 600:
            raise TimeoutError("The copies do not arrive.")
    return time.perf_counter() - started


def report(rounds: list[tuple[float, float]], size: int) -> int:
    """The table."""
    ratio = statistics.median(control / ours for control, ours in rounds)
    for name, seconds in (("httpx", [one[0] for one in rounds]), ("replication", [one[1] for one in rounds])):
        middle = statistics.median(seconds)
        print(f"{name:12} {middle:8.1f} s  {size / middle / 1e6:8.1f} MB/s")
    print(f"ratio {ratio:.2f}, target {TARGET}: {'met' if ratio >= TARGET else 'MISSED'}")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
