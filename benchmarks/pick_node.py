# ruff: noqa: PLC0415 - Django must be set up before what needs it is imported
"""How long one pick among 50 nodes takes, beside `random.choice` over the same list, in one run.

    python -m benchmarks.pick_node [--calls 2000] [--rounds 15] [--nodes 50]

Every policy does `calls` picks in each of `rounds` rounds, the policies taking turns, so that a noisy machine troubles
all alike. A round's figure is its mean pick; the ratio is the median over rounds of (policy / bare choice) within the
same round. Target: the quickest round of each policy <= 20 microseconds a pick with 50 nodes; that round is the one
that other people's work on the machine disturbed least.

The lines `order` are all of `balancing.picker.order` among as many nodes, each call followed by the note of a redirect:
picture, selection, slow start, load and the policy's whole ranking. Needs redis-server or valkey-server on PATH and
starts its own. Target: <= 60 microseconds.
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from balancing.policies import POLICIES, Candidate
from balancing.policies.zone_aware import ZoneAware

TARGET = 20e-6
ORDER_TARGET = 60e-6
ZONES = ("a", "b", "c")


@dataclass
class Contender:
    """One way to pick, and the mean seconds per pick of each of its rounds."""

    name: str
    pick: Callable[[str], object]
    target: float = TARGET
    rounds: list[float] = field(default_factory=list)


def main() -> int:
    """Run all, print a table; 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--nodes", type=int, default=50)
    options = parser.parse_args()
    from tests.standalone.servers import Redis

    server = Redis().start()
    try:
        contenders = [*make(candidates(options.nodes)), *orders(server.url, options.nodes)]
        keys = [f"{number:064x}" for number in range(options.calls)]
        for _ in range(options.rounds):
            for one in contenders:
                measure(one, keys)
        return report(contenders)
    finally:
        server.close()


def candidates(count: int) -> list[Candidate]:
    """Nodes of unequal weight, load and speed in three zones."""
    lot = random.Random(1)  # noqa: S311 - a fixed fleet
    return [
        Candidate(
            f"node-{i}", 1 + i % 3, ZONES[i % 3], lot.randrange(40), lot.random(), 100, 0.2 * (i == 7), count // 3
        )
        for i in range(count)
    ]


def make(nodes: list[Candidate]) -> list[Contender]:
    """The bare choice and every policy."""
    made = {name: kind() for name, kind in POLICIES.items()} | {"zone_aware": ZoneAware(ZONES)}
    policies = [Contender(name, lambda key, one=one: one.pick(key, nodes)) for name, one in made.items()]  # type: ignore[misc]
    return [Contender("random.choice", lambda _: random.choice(nodes)), *policies]  # noqa: S311 - the control


def orders(redis: str, count: int) -> list[Contender]:
    """The whole of the picker, in a project of its own with as many nodes."""
    os.environ |= {"STANDALONE_REDIS": redis, "DJANGO_SETTINGS_MODULE": "tests.standalone.balancing_settings"}
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from balancing import health, picker, services
    from balancing.models import Node

    held = frozenset(f"node-{i}" for i in range(count))
    for i in range(count):
        services.add(Node(name=f"node-{i}", url="http://x", zone=ZONES[i % 3], weight=1 + i % 3), "benchmark")
        health.probed(f"node-{i}", True, 0.1)

    def order(policy: str) -> Callable[[str], object]:
        def one(key: str) -> object:
            found = picker.order(key, held, policy)
            picker.redirected(found[0].name, key)
            return found

        return one

    return [Contender(f"order, {name}", order(name), ORDER_TARGET) for name in POLICIES]


def measure(one: Contender, keys: list[str]) -> None:
    """One round."""
    pick, start = one.pick, time.perf_counter()
    for key in keys:
        pick(key)
    one.rounds.append((time.perf_counter() - start) / len(keys))


def report(contenders: list[Contender]) -> int:
    """The table."""
    bare, missed = contenders[0], 0
    print(f"{'':28}{'median us':>11}{'best us':>9}{'x bare':>8}  target")
    for one in contenders:
        best, ratio = min(one.rounds), statistics.median(a / b for a, b in zip(one.rounds, bare.rounds, strict=True))
        verdict = "" if one is bare else f"{one.target * 1e6:.0f} us {'met' if best <= one.target else 'MISSED'}"
        missed += one is not bare and best > one.target
        print(f"{one.name:28}{statistics.median(one.rounds) * 1e6:11.1f}{best * 1e6:9.1f}{ratio:8.1f}  {verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
