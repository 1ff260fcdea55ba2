"""A process of its own on a database file: `python -m tests.balancing.worker WORD ARGUMENTS`."""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.standalone.balancing_settings")


def main():
    import django

    django.setup()
    word, *rest = sys.argv[1:]
    {"prepare": prepare, "failures": failures, "probe": probe, "eject": eject}[word](*rest)


def prepare(*names):
    """The tables, and nodes that are up."""
    from django.core.management import call_command

    from tests.balancing.conftest import add

    call_command("migrate", verbosity=0)
    for name in names:
        add(name)


def failures(start, name, count):
    """Report failures."""
    from balancing import health

    wait(start)
    for _ in range(int(count)):
        health.failed(name, "broken")


def eject(start, *names):
    """Report enough failures for an ejection of each."""
    from balancing import health

    wait(start)
    for name in names:
        for _ in range(8):
            health.failed(name, "broken")


def probe(start, log):
    """Probe what is due; each probe leaves a line."""
    from balancing import probes
    from balancing.backends import Condition

    class Noting:
        def __init__(self, node):
            self.node = node

        def condition(self):
            with Path(log).open("a") as file:
                file.write(f"{self.node.name}\n")
            time.sleep(0.1)
            return Condition()

    wait(start)
    probes.run_due(backend_for=lambda node, **_: Noting(node))


def wait(start):
    """All processes begin at the same time (seconds since 1970)."""
    Path(f"{start}.{os.getpid()}").touch()
    while not Path(start).exists():
        time.sleep(0.005)


if __name__ == "__main__":
    main()
