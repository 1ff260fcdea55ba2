"""The processes of one machine's installation, started together and ended together by honcho."""

import ctypes
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from honcho.manager import Manager
from honcho.printer import Printer

from pkgindex.env import ROOT
from pkgindex.quickstart import guard
from pkgindex.quickstart.front import Front
from pkgindex.quickstart.lock import SupervisorLock

GRACE_SECONDS = 4.0
# By then the first ones' guards are done and, after them, the last one's; one that is not hangs.
LATEST_SECONDS = 2 * (GRACE_SECONDS + guard.KILL_SECONDS + guard.SLACK_SECONDS)
WATCH, REDIS = "up", "redis"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: where the data is, where to listen, how many web workers, whether with worker and beat."""

    directory: Path
    host: str
    port: int
    workers: int
    with_worker: bool
    redis: list[str] | None  # the command of our own Redis, None where the operator has one
    nodes: Mapping[str, list[str]] = field(default_factory=dict)  # mirror nodes by name, and what starts each
    front: Front | None = None
    nginx: list[str] | None = None  # the command of the nginx in front

    @property
    def url(self) -> str:
        """Where a person on this machine reaches the service."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"{'https' if self.front and self.front.tls else 'http'}://{bracketed(host)}:{self.port}"


def bracketed(host: str) -> str:
    """The host as it stands before a port (RFC 3986): an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def guarded(lock: SupervisorLock, command: list[str], turn: str = guard.FIRST) -> list[str]:
    """The command under a guard, which ends it in its turn when this process is gone."""
    return [sys.executable, "-E", "-S", guard.__file__, str(lock.path), str(GRACE_SECONDS), turn, *command]


def commands(plan: Plan, *, fresh: bool) -> dict[str, list[str]]:
    """The command line of each part by name, in the order of starting."""
    python = sys.executable
    celery = [python, "-m", "celery", "--quiet", "--app", "pkgindex"]
    listen = plan.front.socket if plan.front else f"{bracketed(plan.host)}:{plan.port}"
    web = [python, "-m", "gunicorn", "--config", "python:pkgindex.gunicorn_conf", "--bind", listen]
    parts = {"web": [*web, "--workers", str(plan.workers), "pkgindex.wsgi"]}
    if plan.nginx:
        parts["nginx"] = plan.nginx
    parts |= plan.nodes
    if plan.redis:
        parts = {REDIS: plan.redis} | parts
    if plan.with_worker:
        mates = ["--without-gossip", "--without-mingle"]  # for workers that know of each other: here is one
        parts["worker"] = [*celery, "worker", "--concurrency", "4", "--loglevel", "WARNING", *mates]
        schedule = str(plan.directory / "beat-schedule")
        parts["beat"] = [*celery, "beat", "--schedule", schedule, "--pidfile=", "--loglevel", "WARNING"]
    query = "" if plan.with_worker else "?exclude=worker&exclude=beat"
    watch = [python, "-m", "pkgindex.quickstart.watch", plan.url, query, str(plan.directory)]
    return parts | {WATCH: [*watch, "--fresh"] if fresh else watch}


class Prefixed(Printer):
    """Every line with its part's name before it, except the lines that are meant to be copied."""

    def write(self, message: Any) -> None:
        """Print one message of honcho."""
        if message.type == "line" and message.name == WATCH:
            text = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
            print(text, end="", file=self.output, flush=True)
        else:
            super().write(message)


class Supervisor(Manager):
    """honcho's manager, which asks its processes to end by letting go of the lock that their guards watch.

    So there is one way of ending, whether a part ended, somebody pressed Ctrl-C or this process was killed, and none of
    it needs to know process ids, which honcho does not have yet while it starts.
    """

    def __init__(self, lock: SupervisorLock) -> None:
        super().__init__(Prefixed(sys.stdout))
        self._lock = lock
        self._ends = 0.0  # on the monotonic clock; 0 while nothing ends

    def terminate(self) -> None:
        """End every part; `loop` returns once all have ended."""
        self._ends = self._ends or time.monotonic() + LATEST_SECONDS
        self._lock.release()

    def kill(self) -> None:
        """Kill the guards that hang, and no other: honcho would, after five seconds, not wait for those in turn."""
        if time.monotonic() > self._ends:
            super().kill()

    def run(self, parts: Mapping[str, list[str]], environment: Mapping[str, str]) -> int:
        """Start the parts and stay until they have ended; returns the exit code for this process, never 0.

        A part that ends without being asked to is a failure, whatever it says itself.
        """
        end_forks_with_us()
        for name, command in parts.items():
            turn = guard.LAST if name == REDIS else guard.FIRST
            line = f"exec {shlex.join(guarded(self._lock, command, turn))}"
            self.add_process(name, line, env=dict(environment), cwd=str(ROOT))
        try:
            self.loop()
        finally:
            self._lock.release()
        return int(self.returncode or 1)


def end_forks_with_us() -> None:
    """Have the processes that honcho forks to read output die with this one (Linux; elsewhere a broken pipe ends them).

    They share the queue's both ends, so one that had much to say would otherwise wait for ever for a reader.
    """
    if sys.platform == "linux":
        libc, parent = ctypes.CDLL(None), os.getpid()

        def follow() -> None:
            libc.prctl(guard.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        os.register_at_fork(after_in_child=follow)
