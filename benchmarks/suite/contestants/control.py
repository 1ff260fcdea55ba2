# ruff: noqa: D102 - the base class says what each method does
"""The bare control, which answers what ours answered."""

import json
import sys
from pathlib import Path

import httpx

from benchmarks.suite import environments
from benchmarks.suite.contestant import Contestant, World
from benchmarks.suite.measurements.pages import PageRow, rows
from benchmarks.suite.servers import Server, clean_environment, free_port
from tests.support.servers import RedisServer

HOPS = {"connection", "date", "server", "keep-alive", "transfer-encoding"}


class Control(Contestant):
    """A Django view without middleware on the same gunicorn, one lean round trip to a Redis of its own."""

    name = "control"
    what = (
        "bare control: a Django view without middleware on the same gunicorn configuration, whose threads run it, that "
        "makes the same round trip (EVALSHA and GET together, over a kept connection) and answers our bytes and "
        "headers from memory"
    )
    wire = "lean"
    listings = True

    def __init__(self) -> None:
        super().__init__()
        self.redis: RedisServer | None = None

    def start(self, world: World) -> None:
        if "ours" not in world.started:
            raise RuntimeError("ours did not start, and the control answers what ours does")
        folder = world.home / "pages"
        folder.mkdir()
        self._copy(world.started["ours"], folder, rows(world.corpus))
        self.redis = RedisServer(world.home / "redis").start()
        self.port = free_port()
        environment = clean_environment(
            PKGINDEX_DATA=str(world.home / "data"),
            DJANGO_SETTINGS_MODULE="benchmarks.suite.control.settings",
            CONTROL_PAGES=str(folder),
            CONTROL_REDIS=self.redis.url,
            CONTROL_WIRE=self.wire,
            PYTHONPATH=str(environments.ROOT),
        )
        command = [sys.executable, "-m", "gunicorn", "-c", "python:pkgindex.gunicorn_conf"]
        command += ["--bind", f"127.0.0.1:{self.port}", "benchmarks.suite.control.app"]
        self.servers.append(Server(command, self.port, world.home / "log", environment))
        self.servers[0].wait()

    @staticmethod
    def _copy(ours: Contestant, folder: Path, wanted: list[PageRow]) -> None:
        kept = []
        for row in wanted:
            if row.conditional:
                continue
            url, headers = row.request(ours)
            with httpx.stream("GET", url, headers=headers, timeout=120) as answer:
                answer.raise_for_status()
                (folder / f"{len(kept)}.body").write_bytes(b"".join(answer.iter_raw()))
            pairs = [pair for pair in answer.headers.items() if pair[0].lower() not in HOPS]
            kept.append(
                {
                    "path": answer.url.path,
                    "accept": headers["Accept"],
                    "encoding": headers["Accept-Encoding"],
                    "headers": [("Content-Length" if k == "content-length" else k.title(), v) for k, v in pairs],
                    "etag": answer.headers["ETag"],
                }
            )
        (folder / "pages.json").write_text(json.dumps(kept))

    def page_url(self, project: str, index: str = "") -> str:
        return f"{self.url}/i/{index}/simple/" if index else super().page_url(project)

    def stop(self) -> None:
        super().stop()
        if self.redis is not None:
            self.redis.stop()


class ControlUsual(Control):
    """The same as most would write it."""

    name = "control-usual"
    what = "the same control as most would write it: the middleware of `startproject`, redis-py's own pipeline"
    wire = "usual"


class ControlLoop(Control):
    """The same without Django, where our worker answers hits."""

    name = "control-loop"
    what = (
        "the floor under ours: our worker's loop with bytes and headers from memory and that round trip, shared by "
        "those who ask together, as ours is; no Django, no token, no limits"
    )
    wire = "loop"
