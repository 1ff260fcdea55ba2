# ruff: noqa: D102 - the base class says what each method does
"""pkgindex itself as it runs in production: its gunicorn configuration, two processes, a token, limits in force."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.suite import environments
from benchmarks.suite.contestant import Contestant, NotOffered, World
from benchmarks.suite.servers import Server, clean_environment, free_port, run
from tests.support.servers import RedisServer

PLANS = environments.ROOT / "pkgindex" / "default_plans.toml"
# The default plans would hold a load generator back, as they should: the same limits, each a hundred times as wide.
WIDER = 100
SECRET = "only-for-benchmarks-" + "x" * 40


class Ours(Contestant):
    """On SQLite, asked directly."""

    name = "ours"
    what = (
        "pkgindex: two gunicorn processes with our worker, SQLite, a token in Basic authentication, "
        "the default plans of limits in force"
    )
    listings = True
    upload_path = "/legacy/"
    delivery = "direct"
    full = True  # whether it takes the whole corpus

    def __init__(self) -> None:
        super().__init__()
        self.environment: dict[str, str] = {}
        self.redis: RedisServer | None = None

    def start(self, world: World) -> None:
        data = world.home / "data"
        data.mkdir()
        self.redis = RedisServer(world.home / "redis").start()
        self.port = free_port()
        self.environment = self.variables(data)
        self.manage("prepare", "--url", self.url)
        self.auth = ("__token__", json.loads((data / "credentials.json").read_text())["token"])
        self.manage("limits", "apply", str(self._plans(world.home)))
        deliver = f"from pkgindex.catalog.models import Index; Index.objects.update(delivery={self.delivery!r})"
        self.manage("shell", "--no-imports", "-c", deliver)
        if self.full:
            self._fill(world)
        command = [sys.executable, "-m", "gunicorn", "-c", "python:pkgindex.gunicorn_conf"]
        for place in (f"127.0.0.1:{self.port}", *self.sockets(world.home)):
            command += ["--bind", place]
        command.append("pkgindex.wsgi")
        self.servers.append(Server(command, self.port, world.home / "log", self.environment))
        self.servers[0].wait("/livez")

    def sockets(self, home: Path) -> list[str]:  # noqa: ARG002 - others have some
        """Where it listens beside its port."""
        return []

    def variables(self, data: Path) -> dict[str, str]:
        """The environment of the product."""
        assert self.redis is not None  # noqa: S101 - start has made it
        return clean_environment(
            PKGINDEX_DATA=str(data),
            SECRET_KEY=SECRET,
            DJANGO_SETTINGS_MODULE="pkgindex.settings",
            REDIS_URL=self.redis.url,
            WEB_PROCESSES="2",
            LOG_LEVEL="WARNING",
            PYTHONPATH=str(environments.ROOT),
        )

    def manage(self, *words: str, seconds: float = 600) -> str:
        """A management command's output. Raises RuntimeError."""
        command = [sys.executable, "manage.py", *words]
        return run(command, seconds=seconds, env=self.environment, cwd=environments.ROOT)

    def _plans(self, home: Path) -> Path:
        path = home / "plans.toml"
        path.write_text(widened(PLANS.read_text()))
        return path

    def _fill(self, world: World) -> None:
        self.manage("import_files", str(world.corpus.folder), "--json")
        share_memory(world)
        if world.corpus.huge or world.corpus.roots:
            wanted = json.dumps({"projects": world.corpus.huge, "indexes": world.corpus.roots})
            script = Path(__file__).parents[1] / "listings.py"
            run([sys.executable, script, wanted], seconds=900, env=self.environment, cwd=environments.ROOT)

    def page_url(self, project: str, index: str = "") -> str:
        if index and self.full:
            return f"{self.url}/i/{index}/simple/"
        return super().page_url(project, index)

    def stop(self) -> None:
        super().stop()
        if self.redis is not None:
            self.redis.stop()


class OursAccel(Ours):
    """With nginx in front, as deploy/nginx/pkgindex.conf has it, which sends the files."""

    name = "ours+nginx"
    what = "the same behind nginx with `deploy/nginx/pkgindex.conf`, files by X-Accel-Redirect"
    delivery = "accel"
    listings = False

    def __init__(self) -> None:
        super().__init__()
        self.behind = 0

    def sockets(self, home: Path) -> list[str]:
        return [f"unix:{home}/web.sock"]

    def variables(self, data: Path) -> dict[str, str]:
        return super().variables(data) | {"TRUSTED_PROXIES": "127.0.0.1", "ACCEL_REDIRECT_PREFIX": "/blobs/"}

    def start(self, world: World) -> None:
        from tests.balancing.node.servers import Proxy  # noqa: PLC0415 - needs nothing until here

        if world.corpus.huge or world.corpus.roots:
            world = World(world.home, type(world.corpus)(world.corpus.folder, world.corpus.projects), world.started)
        super().start(world)
        folder = world.home / "nginx"
        folder.mkdir()
        changes = {
            "server unix:/run/pkgindex/web.sock": f"server unix:{world.home}/web.sock",
            "listen 8080": "listen 127.0.0.1:{port}",
            "alias /srv/pkgindex/blobs/": f"alias {world.home}/data/blobs/",
        }
        front = Proxy(folder, "pkgindex.conf", changes)
        whole = folder / "nginx.conf"
        whole.write_text(f"worker_processes 2; {whole.read_text()}")  # as many as nginx over static files has
        command = ["nginx", "-p", folder, "-c", whole]
        self.behind, self.port = self.port, front.port
        self.servers.append(Server(command, front.port, folder / "out", dict(os.environ)).wait("/livez"))

    def page_url(self, project: str, index: str = "") -> str:
        if index:
            raise NotOffered("not run")
        return super().page_url(project)


class OursPostgres(Ours):
    """On PostgreSQL; measured at uploads alone, since page hits ask no SQL."""

    name = "ours+postgresql"
    what = "the same on a PostgreSQL that is as durable as by default; uploads only"
    full = False
    listings = False

    def __init__(self) -> None:
        super().__init__()
        self.database: subprocess.Popen[str] | None = None

    def variables(self, data: Path) -> dict[str, str]:
        script = environments.ROOT / "tests" / "support" / "with_postgres.sh"
        # It lives as long as what it runs, which ends when its input does.
        self.database = subprocess.Popen(  # noqa: S603 - our own words
            [str(script), "sh", "-c", 'echo "$DATABASE_URL"; exec cat'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"POSTGRES_FSYNC": "on"},
        )  # fmt: skip
        assert self.database.stdout is not None  # noqa: S101 - as asked for above
        line = self.database.stdout.readline().strip()
        if not line:
            raise RuntimeError("PostgreSQL did not start")
        return super().variables(data) | {"DATABASE_URL": line}

    def page_url(self, project: str, index: str = "") -> str:  # noqa: ARG002 - it has no pages
        raise NotOffered("not run")

    def stop(self) -> None:
        super().stop()
        if self.database is not None and self.database.stdin is not None:
            self.database.stdin.close()
            try:
                self.database.wait(20)
            except subprocess.TimeoutExpired:
                self.database.kill()


def share_memory(world: World) -> None:
    """Put the corpus's own files in place of our copies, as nginx and others have them.

    Files that are served from memory differ in speed by a fifth with the pages that they happen to lie in, for as long
    as they lie there; as one file, they are as fast for all.
    """
    for path in (path for paths in world.corpus.projects.values() for path in paths):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        copy = world.home / "data" / "blobs" / digest[:2] / digest[2:4] / digest[4:]
        copy.unlink()
        copy.hardlink_to(path)


def widened(plans: str) -> str:
    """The plans with every rate and burst of reads, uploads and calls a hundred times as large; guards stay."""
    head, mark, guards = plans.partition("[plans.guards]")
    head = re.sub(r'rate = "(\d+)/', lambda found: f'rate = "{int(found[1]) * WIDER}/', head)
    head = re.sub(r"burst=(\d+)", lambda found: f"burst={int(found[1]) * WIDER}", head)
    return head + mark + guards
