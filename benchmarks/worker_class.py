"""What requests that are held back cost each way of serving, in one run.

    python -m benchmarks.worker_class [--rounds 3] [--seconds 2] [--gevent PYTHON]

Needs wrk. Every contestant is the whole product behind gunicorn with our own configuration, two workers, and a Redis
and a database of its own. `--gevent` names the Python of an environment that has gevent beside everything else; without
it, or where it does not import, that contestant is reported and skipped.

The contestants take turns in each round, so that a noisy machine troubles all alike. Printed are medians over rounds:
page hits a second of a small page (keep-alive, 16 connections), alone and while a hundred other callers are each held
back two seconds; both as ratios to the first contestant's hits alone, in the same round; the slowest /livez of the
delayed time; and after a burst of pages that ask SQL, memory and open database connections of all workers.
"""

import argparse
import http.client
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
from tqdm import tqdm

DELAYED = 100  # callers that are held back
PLANS = 'prune = true\n[plans.v]\nassign = ["anon"]\n[plans.v.limits]\nslow = "1/2 seconds burst=1 delay=2s"\n'
THREADS = (8, 32, 64, 128)
BOUNDED = (8, 32, 64)
# What WEB_THREADS sets is seven eighths of the threads; here it is set apart, to see threads without the bound.
SETTINGS = """import os
from tests.settings import *
THROTTLING = THROTTLING | {"MOST_DELAYED": int(os.environ["MOST_DELAYED"])}
"""


@dataclass
class Contestant:
    """One way of serving, and what each round measured."""

    name: str
    options: tuple[str, ...]
    most_delayed: int = 1_000  # per process
    python: str = sys.executable
    server: Any = None
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    livez: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)


def main() -> int:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--gevent", default="", help="the Python of an environment that has gevent")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        print("wrk is not on PATH: nothing can be measured", file=sys.stderr)
        return 2
    contestants = chosen(options.gevent)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="worker-class-")))
        (home / "unbound_settings.py").write_text(SETTINGS)
        for one in tqdm(contestants, desc="starting"):
            start(one, home, stack)
        for _ in tqdm(range(options.rounds), desc="rounds"):
            for one in tqdm(contestants, desc="contestants", leave=False):
                measure(one, options.seconds)
    report(contestants)
    return 0


def chosen(gevent: str) -> list[Contestant]:
    """The contestants that can run here."""
    found = [Contestant(f"gthread, {n} threads", ("--threads", str(n))) for n in THREADS]
    found += [Contestant(f"gthread, {n}, {n * 7 // 8} held", ("--threads", str(n)), n * 7 // 8) for n in BOUNDED]
    works = [gevent, "-c", "import gevent, django"]
    if gevent and subprocess.run(works, check=False).returncode == 0:  # noqa: S603 - the caller named it
        found.append(Contestant("gevent", ("--worker-class", "gevent"), python=gevent))
    else:
        print("gevent cannot be imported and is left out", file=sys.stderr)
    return found


def start(one: Contestant, home: Path, stack: ExitStack) -> None:
    """Start a server with one public page and the plan that holds strangers back."""
    from tests.support.distributions import form, wheel  # noqa: PLC0415 - what follows starts servers
    from tests.support.live import ROOT, LiveServer  # noqa: PLC0415

    folder = home / one.name.replace(", ", "-").replace(" ", "-")
    more = {
        "TRUSTED_PROXIES": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "unbound_settings",
        "MOST_DELAYED": str(one.most_delayed),
        "PYTHONPATH": f"{home}:{ROOT}",
    }
    config = ("--config", "python:pkgindex.gunicorn_conf", "--workers", "2", "--keep-alive", "65")
    one.server = stack.enter_context(
        LiveServer(folder, workers=2, gathers=True, more=more, options=(*config, *one.options), python=one.python)
    )
    filename, content = wheel()
    files = {"content": (filename, content)}
    url, auth = one.server.url, one.server.auth
    httpx.post(f"{url}/legacy/", data=form(filename, content), files=files, auth=auth, timeout=60).raise_for_status()
    (folder / "plans.toml").write_text(PLANS)
    for words in (
        ["shell", "-c", "from pkgindex.catalog.models import Index; Index.objects.update(visibility='public')"],
        ["limits", "apply", str(folder / "plans.toml")],
    ):
        done = one.server.manage(*words)
        if done.returncode:
            raise SystemExit(done.stderr)
    time.sleep(2)


def measure(one: Contestant, seconds: int) -> None:
    """One round."""
    hits(one, 1)
    one.alone.append(hits(one, seconds))
    with Strangers(one) as strangers:
        time.sleep(2.5)  # the first request of each passes, the second is held back
        one.beside.append(hits(one, seconds))
        one.livez.append(strangers.slowest())
    sql(one)
    workers = [psutil.Process(pid) for pid in one.server.worker_pids()]
    one.memory.append(max(worker.memory_info().rss for worker in workers) / (1 << 20))
    files = [file.path for worker in workers for file in worker.open_files()]
    one.connections.append(sum(path.endswith("db.sqlite3") for path in files))


def hits(one: Contestant, seconds: int) -> float:
    """Pages a second, by wrk; 0 where none came."""
    from base64 import b64encode  # noqa: PLC0415

    secret = b64encode(":".join(one.server.auth).encode()).decode()
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "--timeout", "10s", "-H", f"Authorization: Basic {secret}"]
    url = f"{one.server.url}/simple/acme/"
    done = subprocess.run([*command, url], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    if "Non-2xx" in done.stdout:
        raise SystemExit(f"{one.name}: not every answer was a page:\n{done.stdout}\n{one.server.log[-3000:]}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    return float(found[1]) if found else 0.0


def sql(one: Contestant) -> None:
    """Ask over a hundred connections at once for what reads the database, to see how many connections that leaves."""
    command = ["wrk", "-t1", f"-c{DELAYED}", "-d1s", "-H", f"Authorization: Bearer {one.server.token}"]
    url = f"{one.server.url}/api/v1/projects/"
    subprocess.run([*command, url], capture_output=True, check=True)  # noqa: S603 - our own words


class Strangers:
    """Anonymous callers, each at an address of its own and held back at every request."""

    def __init__(self, one: Contestant) -> None:
        self._port, self._over = one.server.port, threading.Event()
        self._times: list[float] = []
        self._asked = 0.0  # when the probe that has no answer yet began
        self._threads = [threading.Thread(target=self._call, args=(i,), daemon=True) for i in range(DELAYED)]
        self._threads.append(threading.Thread(target=self._probe, daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def slowest(self) -> float:
        """Seconds of the slowest /livez so far, the one that has no answer yet included."""
        return max([*self._times, time.monotonic() - self._asked if self._asked else 0.0])

    def _call(self, number: int) -> None:
        headers = {"X-Forwarded-For": f"198.51.{number // 250}.{number % 250 + 1}"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        while not self._over.is_set():
            with suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/simple/acme/", headers=headers)
                answer = connection.getresponse()
                answer.read()
                self._over.wait(int(answer.headers.get("Retry-After", "0")))
        connection.close()

    def _probe(self) -> None:
        self._over.wait(1.0)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        while not self._over.is_set():
            self._asked = time.monotonic()
            with suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/livez")
                connection.getresponse().read()
            self._times.append(time.monotonic() - self._asked)
            self._asked = 0.0
            self._over.wait(0.1)
        connection.close()


def report(contestants: list[Contestant]) -> None:
    """The table; ratios to the first contestant alone, round by round."""
    base = contestants[0].alone
    print(f"{'':22}{'hits/s':>8}{'x first':>9}{'delayed':>9}{'x first':>9}{'/livez s':>10}{'MiB':>7}{'database':>10}")
    for one in contestants:
        alone = statistics.median(a / b for a, b in zip(one.alone, base, strict=True))
        beside = statistics.median(a / b for a, b in zip(one.beside, base, strict=True))
        print(
            f"{one.name:22}{statistics.median(one.alone):8.0f}{alone:9.2f}{statistics.median(one.beside):9.0f}"
            f"{beside:9.2f}{max(one.livez):10.2f}{max(one.memory):7.0f}{max(one.connections):10}"
        )


if __name__ == "__main__":
    sys.exit(main())
