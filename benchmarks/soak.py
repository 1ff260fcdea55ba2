"""Whether the server's memory grows under a mixed load that goes on.

    python -m benchmarks.soak [--minutes 10] [--clients 6] [--projects 400] [--files 4000] [--addresses 300]
                              [--json FILE]

Needs redis-server. Starts the whole product, gunicorn with our own configuration and two workers, SQLite, a token and
limits in force, with invented projects in it (`manage.py load_synthetic`). Clients with one connection each then ask
for pages in HTML and JSON, with gzip and without, again with their ETag (304), for the list of projects, metadata,
files and ranges of files, upload new files, come from many addresses with tokens of nobody, and ask for what is not
there. Each waits for its answer before it asks for more.

Every few seconds the private memory (USS) of each of the server's processes is read. In the end stands, for each and
for all together, by how much the median of the last third of the samples is above that of the middle third; the first
third warms up: caches that have a limit fill. (What limits remember of addresses has one of 20,000: with ever new ones,
`--addresses 16000000`, it fills for an hour.) Ends with 1, and a sentence, where any grew by more than 5 % and 5 MiB,
where a process ended, or where an answer was none that should have come. Runs of less than 5 minutes are still warming
up: their growth is printed and not judged. Redis is shown and not judged: it keeps what it is told to keep.

In examples, ten minutes, a night with every sample in a file, and whether it runs at all:

    python -m benchmarks.soak
    python -m benchmarks.soak --minutes 480 --json soak.json
    python -m benchmarks.soak --minutes 0.2 --projects 20 --files 200

Ctrl-C ends the clients and the servers; its exit code is 130.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.scale import Scaled
from benchmarks.suite.contestants import World
from benchmarks.suite.corpus import Corpus
from benchmarks.suite.memory import MOST_MIB, MOST_PERCENT, Growth, Watched
from benchmarks.suite.traffic import Traffic

SAMPLE_SECONDS, SPOKEN_SECONDS = 3.0, 30.0
JUDGED_MINUTES = 5.0
LEAST_SAMPLES = 12  # so that a third has some


@dataclass
class Outcome:
    """What a run found."""

    minutes: float
    watched: Watched
    redis: Watched
    traffic: Traffic

    @property
    def judged(self) -> bool:
        """Whether it was long enough for growth to mean something."""
        return self.minutes >= JUDGED_MINUTES

    def wrong(self) -> list[str]:
        """Sentences; none where all is well."""
        found = [complaint(each) for each in self.watched.growth() if each.too_much] if self.judged else []
        tally = self.traffic.tally
        if tally.faults:
            found.append(f"{tally.faults:,} of {tally.requests:,} answers were wrong, first: {tally.first_faults[0]}")
        if not tally.requests:
            found.append("nothing was answered")
        return found


def main() -> int:
    """Start, load, watch, tell; 1 where something is wrong, 130 after Ctrl-C."""
    options = _options()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts with `&`
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    server = Scaled(options.projects, options.files)
    try:
        with tempfile.TemporaryDirectory(prefix="soak-") as text:
            try:
                server.home = Path(text)
                say(f"starting, with {options.files:,} files in {options.projects:,} projects")
                server.start(World(server.home, Corpus(server.home), {}))
                outcome = run(server, options.minutes, options.clients, options.addresses)
            finally:
                server.stop()
    except KeyboardInterrupt:
        say("interrupted; clients and servers are ended")
        return 130
    except RuntimeError as error:
        print(f"FAILED: {error}")
        return 1
    return finish(outcome, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=_above_zero, default=10.0, help="of load, after the start (default: 10)")
    parser.add_argument("--clients", type=int, default=6, choices=range(1, 65), metavar="N", help="1 to 64, default: 6")
    parser.add_argument("--projects", type=int, default=400, help="in the index at the start (default: 400)")
    parser.add_argument("--files", type=int, default=4_000, help="of all of them together (default: 4000)")
    parser.add_argument("--addresses", type=int, default=300, help="from which wrong tokens come (default: 300)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures and samples here")
    return parser.parse_args()


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e5:
        raise argparse.ArgumentTypeError(f"{text} is no length of a run")
    return value


def run(server: Scaled, minutes: float, clients: int, addresses: int) -> Outcome:
    """Load and look. Raises RuntimeError where a process of the server ends."""
    assert server.redis is not None  # noqa: S101 - start has made it
    assert server.redis.process is not None  # noqa: S101 - as above
    master, *workers = server.servers[0].processes()
    watched = Watched({"master": master} | {f"worker {n}": each for n, each in enumerate(workers, 1)})
    redis = Watched({"redis": psutil.Process(server.redis.process.pid)})
    with Traffic(clients, server.port, server.auth, server.names, addresses) as traffic:
        begun = time.monotonic()
        every, spoken = min(SAMPLE_SECONDS, minutes * 60 / LEAST_SAMPLES), begun
        while (now := time.monotonic()) < begun + minutes * 60:
            time.sleep(min(every, begun + minutes * 60 - now))
            watched.sample()
            redis.sample()
            if time.monotonic() >= spoken + SPOKEN_SECONDS:
                spoken += SPOKEN_SECONDS
                say(progress(spoken - begun, watched, traffic))
    return Outcome(minutes, watched, redis, traffic)


def progress(seconds: float, watched: Watched, traffic: Traffic) -> str:
    """One line."""
    sizes = ", ".join(f"{name} {size:.1f}" for name, size in watched.last().items())
    return f"{seconds:5.0f} s: {traffic.tally.requests:,} answers, {traffic.tally.faults} wrong; MiB: {sizes}"


def complaint(growth: Growth) -> str:
    """Why that is too much."""
    return (
        f"the memory of {growth.name} grew by {growth.mib:.1f} MiB ({growth.percent:.1f} %) from the middle third to "
        f"the last, more than {MOST_MIB:.0f} MiB and {MOST_PERCENT:.0f} %"
    )


def finish(outcome: Outcome, path: Path | None) -> int:
    """Print the table and the verdict, write the figures."""
    tally, wrong = outcome.traffic.tally, outcome.wrong()
    print(f"{'private memory, MiB':22}{'middle third':>14}{'last third':>12}{'growth':>9}{'%':>8}")
    for each in (*outcome.watched.growth(), *outcome.redis.growth()[:1]):
        print(f"{each.name:22}{each.middle:14.1f}{each.last:12.1f}{each.mib:+9.1f}{each.percent:+8.1f}")
    print("work: " + ", ".join(f"{name} {count:,}" for name, count in tally.kinds.most_common()))
    print("answers: " + ", ".join(f"{status}: {count:,}" for status, count in sorted(tally.statuses.items())))
    if path is not None:
        path.write_text(json.dumps(figures(outcome, wrong), indent=1))
    for sentence in wrong:
        print(f"FAILED: {sentence}")
    if not wrong:
        kept = f"no process grew by more than {MOST_PERCENT:.0f} % and {MOST_MIB:.0f} MiB"
        print(
            f"passed: {kept}" if outcome.judged else f"it runs; below {JUDGED_MINUTES:.0f} minutes growth is not judged"
        )
    return 1 if wrong else 0


def figures(outcome: Outcome, wrong: list[str]) -> dict[str, object]:
    """For the JSON file; samples are bytes."""
    tally = outcome.traffic.tally
    growth = [asdict(each) | {"mib": each.mib, "percent": each.percent} for each in outcome.watched.growth()]
    both = outcome.watched.processes | outcome.redis.processes
    return {
        "minutes": outcome.minutes,
        "judged": outcome.judged,
        "wrong": wrong,
        "growth": growth,
        "processes": {name: process.pid for name, process in both.items()},
        "samples": outcome.watched.samples | {"redis": outcome.redis.samples["redis"]},
        "work": dict(tally.kinds),
        "answers": {str(status): count for status, count in tally.statuses.items()},
        "faults": tally.first_faults,
    }


def say(text: str) -> None:
    """Progress for people, apart from the result."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
