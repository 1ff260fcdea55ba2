"""nginx, a live server, mirror nodes, a Celery worker with beat: the whole of what replicates and delivers."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx

from tests.balancing.node.servers import KEY, Server
from tests.support.live import ROOT, LiveServer
from tests.support.nginx import IN_FRONT, Nginx

QUICK = {"MIRROR_KEYS": f"k1:{KEY.hex()}"}


class Fleet:
    """`with Fleet(folder, 3) as fleet:` has `fleet.front`, `fleet.live` and `fleet.nodes` (name -> Server), all up."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.live = LiveServer(folder / "live", workers=2, threads=16, more=QUICK | IN_FRONT)
        self.nodes: dict[str, Server] = {}
        self._names = [f"node-{number}" for number in range(1, count + 1)]

    def __enter__(self) -> Self:
        self.live.__enter__()
        self.front = Nginx(self.folder / "nginx", self.live).__enter__()
        (self.folder / "nodes").mkdir(exist_ok=True)
        for name in self._names:
            server = self.nodes[name] = Server(self.folder / "nodes" / name, name=name)
            done = self.live.manage("mirrors", "add", name, server.url)
            assert done.returncode == 0, done.stderr
        command = [sys.executable, "-m", "celery", "-A", "pkgindex", "worker", "-B", "-s", str(self.folder / "beat")]
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [*command, "-c", "3", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"],
                cwd=ROOT, env=self.live.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.until(lambda: self.healthy() == len(self.nodes))
        return self

    def __exit__(self, *_exception: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.worker.pid, signal.SIGKILL)
        self.worker.wait(10)
        for server in self.nodes.values():
            server.go()
            server.kill()
        self.front.__exit__()
        self.live.__exit__()

    def ask(self, path: str) -> dict:
        return httpx.get(self.live.url + path, auth=self.live.auth, headers={"Accept": "application/json"}).json()

    def healthy(self) -> int:
        return sum(node["healthy"] for node in self.ask("/status/")["nodes"])

    def until(self, true: Callable[[], bool], seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.folder / "worker.log").read_text()[-3000:]
            time.sleep(0.3)

    def replicated(self) -> None:
        """Wait until every copy that is wanted is there."""
        self.until(lambda: not any(lag["total"] for lag in self.ask("/api/v1/mirrors/lag/").values()))


class Chaos(threading.Thread):
    """Does one bad thing after another to nodes until it is told to stop; `done` says what.

    Without `lies` no copy is damaged.
    """

    def __init__(self, fleet: Fleet, seed: int, pause: float, *, lies: bool = True) -> None:
        super().__init__(daemon=True)
        self._fleet, self._chance, self._pause, self._lies = fleet, random.Random(seed), pause, lies
        self._end = threading.Event()
        self.done: list[str] = []
        self.fault: Exception | None = None

    def run(self) -> None:
        acts: list[Callable[[Server], None]] = []
        try:
            while not self._end.is_set():
                if not acts:  # each once before any again
                    acts = [self._killed, self._paused, self._slowed, self._filled]
                    acts += [self._corrupted] if self._lies else []
                    self._chance.shuffle(acts)
                act, server = acts.pop(), self._chance.choice(list(self._fleet.nodes.values()))
                self.done.append(f"{act.__name__[1:]} {server.ring.audience}")
                act(server)
                self._end.wait(self._pause)
        except Exception as error:  # noqa: BLE001 - told by `finish`
            self.fault = error

    def finish(self) -> list[str]:
        self._end.set()
        self.join(60)
        assert self.fault is None, self.fault
        return self.done

    def _killed(self, server: Server) -> None:
        server.kill()
        self._end.wait(self._chance.uniform(0.2, 2))
        server.start()

    def _paused(self, server: Server) -> None:
        server.stop()
        self._end.wait(self._chance.uniform(1, 5))
        server.go()

    def _slowed(self, server: Server) -> None:
        for _ in range(20):
            server.stop()
            time.sleep(0.1)
            server.go()
            time.sleep(0.02)

    def _corrupted(self, server: Server) -> None:
        paths = [path for path in server.root.rglob("*") if path.is_file() and path.stat().st_size > 1000]
        for path in self._chance.sample(paths, min(3, len(paths))):
            with suppress(FileNotFoundError):
                path.chmod(0o644)
                content = bytearray(path.read_bytes())
                spoil = self._chance.choice(["flip", "cut", "html"])
                if spoil == "flip":
                    content[len(content) // 2] ^= 1
                elif spoil == "cut":
                    del content[len(content) // 3 :]
                else:
                    content[:] = b"<html><body>It works!</body></html>"
                path.write_bytes(content)

    def _filled(self, server: Server) -> None:
        server.kill()
        server.reserve = 10**18
        server.start()
        self._end.wait(self._chance.uniform(0.2, 1))
        server.kill()
        server.reserve = 0
        server.start()
