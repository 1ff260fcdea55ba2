"""Uploads of small wheels a second through the whole product, beside what the disk alone can do, in one run.

    python -m benchmarks.uploads [--postgres] [--seconds 3] [--rounds 3] [--profile]

gunicorn with our own configuration and two workers, two client processes with one connection each. Rounds take turns
between many versions of few projects, many projects of one version, and the controls: a small file made durable
(write, fsync, rename, fsync of the folder) by one and by two processes, and a commit of one small row in SQLite (WAL)
with `synchronous` FULL and NORMAL. Medians are printed, and the CPU time that the workers spend on an upload; on a
noisy machine that and the ratio to the controls are what counts.

`--profile` also sends uploads through one worker in this process and prints where their time goes, and what each costs
in SQL statements, round trips to Redis and fsyncs. `--postgres` starts a PostgreSQL that is as durable as by default.
"""

import argparse
import http.client
import multiprocessing
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

CLIENTS = 2
PER_SECOND = 400  # bodies that a client makes before it begins, at most this many a second
HERE = Path(__file__).resolve().parents[1]
WITH_POSTGRES = HERE / "tests" / "support" / "with_postgres.sh"

Measure = Callable[[int, float], float]  # round, seconds -> a second


def main() -> int:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if options.postgres and not os.environ.get("DATABASE_URL"):
        command = [str(WITH_POSTGRES), sys.executable, "-m", "benchmarks.uploads", *sys.argv[1:]]
        return subprocess.run(command, cwd=HERE, env=os.environ | {"POSTGRES_FSYNC": "on"}, check=False).returncode  # noqa: S603
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uploads-")))
        cpu: list[float] = []
        measures = contestants(home, stack, cpu)
        found: dict[str, list[float]] = {name: [] for name in measures}
        for number in tqdm(range(options.rounds + 1), desc="rounds"):
            for name, measure in measures.items():
                rate = measure(number, options.seconds if number else 1.0)
                if number:  # the first warms up
                    found[name].append(rate)
    report(found, statistics.median(cpu))
    if options.profile:
        from benchmarks import upload_steps  # noqa: PLC0415 - it sets Django up

        upload_steps.report()
    return 0


def contestants(home: Path, stack: ExitStack, cpu: list[float]) -> dict[str, Measure]:
    """What takes turns, by name; uploads add their milliseconds of the workers' CPU time to `cpu`."""
    from tests.support.live import LiveServer  # noqa: PLC0415 - starts servers

    options = ("--config", "python:pkgindex.gunicorn_conf", "--workers", "2", "--keep-alive", "65")
    more = {"DJANGO_SETTINGS_MODULE": "pkgindex.settings"}
    server = stack.enter_context(LiveServer(home / "server", workers=2, gathers=True, options=options, more=more))
    return {
        "uploads, many versions": lambda number, seconds: uploads(server, number, seconds, cpu, several=True),
        "uploads, many projects": lambda number, seconds: uploads(server, number, seconds, cpu, several=False),
        "durable files, 1 process": lambda number, seconds: durable_files(home / f"files{number}", 1, seconds / 2),
        "durable files, 2 processes": lambda number, seconds: durable_files(home / f"pairs{number}", 2, seconds / 2),
        "SQLite commits, FULL": lambda number, seconds: commits(home / f"full{number}", "FULL", seconds / 2),
        "SQLite commits, NORMAL": lambda number, seconds: commits(home / f"normal{number}", "NORMAL", seconds / 2),
    }


def report(found: dict[str, list[float]], cpu: float) -> None:
    """Medians, and ratios to durable files of two processes in the same round."""
    base = found["durable files, 2 processes"]
    print(f"{'':28}{'a second':>10}{'least':>8}{'most':>8}{'x files':>9}")
    for name, rates in found.items():
        ratio = statistics.median(a / b for a, b in zip(rates, base, strict=True))
        print(f"{name:28}{statistics.median(rates):10.0f}{min(rates):8.0f}{max(rates):8.0f}{ratio:9.2f}")
    print(f"CPU time of the workers for an upload: {cpu:.1f} ms")


def uploads(server: Any, number: int, seconds: float, cpu: list[float], *, several: bool) -> float:
    """Uploads a second of all clients together. Raises SystemExit where one is refused."""
    most = int(seconds * PER_SECOND)
    secret = b64encode(":".join(server.auth).encode()).decode()
    bodies = [
        list(forms(f"{'v' if several else 'p'}{number}-{client}", most, several=several)) for client in range(CLIENTS)
    ]
    workers = [psutil.Process(pid) for pid in server.worker_pids()]
    before = sum(sum(worker.cpu_times()[:2]) for worker in workers)
    rate, done = together([(send, server.port, secret, made) for made in bodies], seconds)
    cpu.append((sum(sum(worker.cpu_times()[:2]) for worker in workers) - before) * 1_000 / done)
    return rate


def forms(stem: str, count: int, *, several: bool) -> Iterator[bytes]:
    """Bodies of upload requests: wheels of about 2 KB, of four projects or of one each."""
    from tests.support.distributions import wheel  # noqa: PLC0415 - starts servers
    from tests.support.uploads import upload_body  # noqa: PLC0415

    for at in range(count):
        name, version = (f"{stem}-{at % 4}", f"1.{at}") if several else (f"{stem}-{at}", "1.0")
        filename, content = wheel(name, version, "Requires-Dist: six>=1.0", "Requires-Python: >=3.9", files=FILES)
        yield upload_body(filename, content, name=name, version=version)


FILES = {f"acme/{number}.py": f"def answer():\n    return {number}\n".encode() * 8 for number in range(4)}


def send(start: Any, seconds: float, port: int, secret: str, bodies: list[bytes]) -> tuple[int, float]:
    """One client: uploads in a row over one connection; how many in how many seconds."""
    from tests.support.uploads import KIND  # noqa: PLC0415 - starts servers

    headers = {"Authorization": f"Basic {secret}", "Content-Type": KIND}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    start.wait(60)
    began, done = time.monotonic(), 0
    for body in bodies:
        connection.request("POST", "/legacy/", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"refused: {answer.status} {answer.reason} {text[:300]!r}")
        done += 1
        if time.monotonic() - began > seconds:
            break
    return done, time.monotonic() - began


def durable_files(folder: Path, processes: int, seconds: float) -> float:
    """Small files a second that survive a power cut."""
    return together([(_write_files, folder / str(one)) for one in range(processes)], seconds)[0]


def _write_files(start: Any, seconds: float, folder: Path) -> tuple[int, float]:
    folder.mkdir(parents=True)
    start.wait(60)
    began, done = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        with (folder / "new").open("wb") as file:
            file.write(b"x" * 2_048)
            file.flush()
            os.fsync(file.fileno())
        (folder / "new").rename(folder / str(done))
        held = os.open(folder, os.O_RDONLY)
        os.fsync(held)
        os.close(held)
        done += 1
    return done, time.monotonic() - began


def commits(folder: Path, synchronous: str, seconds: float) -> float:
    """Commits a second of one row in SQLite."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("CREATE TABLE kept (text TEXT)")
        began, done = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            connection.execute("INSERT INTO kept VALUES (?)", ["x" * 500])
            done += 1
        return done / (time.monotonic() - began)


def together(jobs: list[tuple[Any, ...]], seconds: float) -> tuple[float, int]:
    """Run jobs in a process each, begun at one moment; the sum of their rates, and how many were done."""
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(len(jobs)), context.SimpleQueue()

    def run(work: Callable[..., tuple[int, float]], *arguments: Any) -> None:
        answers.put(work(start, seconds, *arguments))

    children = [context.Process(target=run, args=job) for job in jobs]
    for child in children:
        child.start()
    for child in children:
        child.join(seconds + 120)
    if any(child.exitcode for child in children):
        raise SystemExit("a client failed")
    found = [answers.get() for _ in jobs]
    return sum(done / took for done, took in found), sum(done for done, _ in found)


if __name__ == "__main__":
    sys.exit(main())
