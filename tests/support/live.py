"""The whole product behind a real gunicorn on a data directory of its own, to be talked to, stopped and killed."""

import atexit
import itertools
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
import redis

from pkgindex.accounts import tokens
from tests.support import databases, plugin
from tests.support.servers import ended_environment, free_port, wait_for_answer

ROOT = Path(__file__).resolve().parents[2]
TOKEN = tokens.seal(1)
ADMIN, ADMIN_PASSWORD = "root", "root-password"

# Run once for a test process: every server begins with a copy of this database.
SETTING_UP = f"""
from django.utils import timezone
from pkgindex.accounts.models import Token, User
from pkgindex.catalog.models import Index
Index.objects.create(slug="main", title="Main", is_default=True)
user = User.objects.create_superuser({ADMIN!r}, "root@example.org", {ADMIN_PASSWORD!r})
Token.objects.create(user=user, name="live", digest={tokens.digest(TOKEN)!r}, hint={tokens.hint(TOKEN)!r},
                     scopes=["read", "upload", "manage", "admin"])
"""

_databases = itertools.cycle(range(2, 16))  # the tests' own process uses 0 and 1


@dataclass
class LiveServer:
    """gunicorn (our worker) with a migrated database, the default index `main`, a superuser and that user's token.

    `with LiveServer(tmp_path) as server:` starts it; `kill` and `start` on the same directory show what a crash leaves.
    """

    directory: Path
    workers: int = 1
    threads: int = 8
    more: dict[str, str] = field(default_factory=dict)  # further environment variables
    options: tuple[str, ...] = ()  # further options of gunicorn, which win
    python: str = sys.executable
    gathers: bool = False  # whether connections gather in one worker as they should, or each is asked from the start
    port: int = field(default_factory=free_port)
    redis_database: int = field(default_factory=lambda: next(_databases))
    process: "subprocess.Popen[bytes] | None" = None
    token: str = TOKEN
    auth: tuple[str, str] = ("__token__", TOKEN)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything the server printed so far."""
        path = self.directory / "gunicorn.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        shared = f"{plugin.redis_server.url}/{self.redis_database}"
        own = {
            "PKGINDEX_DATA": str(self.directory),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "REDIS_URL": plugin.redis_server.url,
            "CACHE_URL": shared,
            "CELERY_BROKER_URL": shared,
            "WEB_PROCESSES": str(self.workers),
            "WEB_THREADS": str(self.threads),
        }
        return ended_environment(**own | databases.variables(self.directory) | self.more)

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        databases.own_database(self.directory, _set_up)
        client = redis.Redis.from_url(f"{plugin.redis_server.url}/{self.redis_database}")
        client.flushdb()
        client.close()
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(self) -> "LiveServer":
        """Start gunicorn and return when it answers."""
        command = [self.python, "-m", "gunicorn", "pkgindex.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--worker-class", f"{'pkgindex.worker.loop' if self.gathers else 'tests.support.spreading'}.Worker"]
        command += ["--workers", str(self.workers), "--threads", str(self.threads)]
        command += ["--no-control-socket", "--graceful-timeout", "3", "--log-level", "warning", *self.options]
        with (self.directory / "gunicorn.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        atexit.register(self.kill)
        try:
            wait_for_answer(self.port)
        except OSError:
            self.kill()
            raise AssertionError(f"gunicorn did not start:\n{self.log}") from None
        return self

    def stop(self) -> None:
        """End it as an operator would, and harder where that takes too long."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(8)
        self.kill()

    def kill(self) -> None:
        """kill -9 the master and every worker at once, as a power cut would; harmless when nothing runs."""
        atexit.unregister(self.kill)
        if self.process is None:
            return
        workers: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            workers = psutil.Process(self.process.pid).children()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        psutil.wait_procs(workers, 10)  # the last of them to go holds the port
        self.process = None

    def worker_pids(self) -> list[int]:
        """The worker processes' ids."""
        assert self.process is not None
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def manage(self, *arguments: str, seconds: float = 120) -> "subprocess.CompletedProcess[str]":
        """Run a management command on the server's data; never raises for its exit code."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def evaluate(self, expression: str) -> object:
        """The JSON value of a Python expression in the server's Django, such as `File.objects.count()`."""
        code = (
            "import json; from pkgindex.accounts.models import *; from pkgindex.catalog.models import *; "
            f"from pkgindex.blobs.models import *; from pkgindex.audit.models import *; print(json.dumps({expression}))"
        )
        done = self.manage("shell", "--no-imports", "-c", code)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _set_up(variables: dict[str, str]) -> None:
    environment = ended_environment(DJANGO_SETTINGS_MODULE="tests.settings", **variables)
    for arguments in (["migrate", "--verbosity", "0"], ["shell", "--no-imports", "-c", SETTING_UP]):
        subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True, timeout=120)
