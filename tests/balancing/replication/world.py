"""Real node servers and real Celery workers for the tests of replication."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import psutil
from django.db import connections

from tests.standalone.servers import free_port

KEY = "11" * 32


class NodeServer:
    """A mirror node behind gunicorn; `kill` is a power cut, `start` keeps address and disk."""

    def __init__(self, name, folder, *, reserve=0):
        self.name, self.root, self.reserve = name, Path(folder) / name, reserve
        self.log = Path(folder) / f"{name}.access"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        own = {"MIRROR_ROOT": str(self.root), "MIRROR_KEYS": f"k1:{KEY}", "MIRROR_ID": self.name}
        command = [sys.executable, "-m", "gunicorn", "balancing.node.app:create()", "--threads", "16"]
        command += ["--bind", f"127.0.0.1:{self.port}", "--no-control-socket", "--access-logfile", str(self.log)]
        command += ["--access-logformat", "%(m)s %(U)s %(s)s"]
        self.process = start(command, {**own, "MIRROR_RESERVE": str(self.reserve)}, f"{self.root}.log")
        until(self.answers)
        return self

    def answers(self):
        assert self.process.poll() is None, Path(f"{self.root}.log").read_text()
        try:
            with urlopen(f"{self.url}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        if self.process is not None:
            kill(self.process)
            self.process = None

    def path(self, digest):
        return self.root / digest[:2] / digest[2:4] / digest[4:]

    def files(self):
        return {
            "".join(path.relative_to(self.root).parts): path.read_bytes()
            for path in self.root.glob("??/??/*")
            if path.is_file()
        }

    def unfinished(self):
        return list((self.root / "tmp").iterdir())

    def cleaned_up(self):
        """Nothing unfinished is left, a moment after a transfer broke: the node sees its end later than we do."""
        until(lambda: not self.unfinished())
        return True

    def puts(self, least=0):
        """(digest, status) of every PUT so far, once `least` are logged: the log line follows the answer."""
        until(lambda: len(self._puts()) >= least)
        return self._puts()

    def _puts(self):
        if not self.log.exists():
            return []
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(path.rpartition("/")[2], int(status)) for method, path, status in lines if method == "PUT"]


class Worker:
    """A Celery worker with child processes, in a process group of its own."""

    def __init__(self, environment, folder, number, *, processes=2):
        self.environment, self.log, self.processes = environment, f"{folder}/worker-{number}.log", processes
        self.name = f"w{number}@tests"
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "celery", "-A", "tests.balancing.celery_app", "worker", "--loglevel", "INFO"]
        command += ["--concurrency", str(self.processes), "--without-gossip", "--without-mingle", "-n", self.name]
        self.process = start(command, self.environment, self.log)
        return self

    def kill(self):
        if self.process is not None:
            kill(self.process)
            self.process = None

    def kill_child(self, chance):
        """Kill one of its children, as the kernel does where memory is short."""
        with suppress(psutil.NoSuchProcess):
            if children := psutil.Process(self.process.pid).children():
                chance.choice(children).kill()


def environment(folder, database, broker, cache, **settings):
    """What a worker's environment needs to be part of a test's world."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.balancing.replication.settings",
        "STANDALONE_DB": str(database),
        "STANDALONE_BROKER": broker,
        "STANDALONE_REDIS": cache,
        "REPLICATION_FOLDER": str(folder),
        "REPLICATION_SETTINGS": json.dumps(settings),
    }


def start(command, own, log):
    with Path(log).open("ab") as file:
        return subprocess.Popen(command, env={**os.environ, **own}, stdout=file, stderr=file, start_new_session=True)


def kill(process):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait(10)


def until(true, seconds=30, pause=0.05):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(pause)


def connection_to(path):
    """A connection of this thread's own to the database in a file."""
    standard = connections["default"]
    return type(standard)({**standard.settings_dict, "NAME": str(path)}, "default")
