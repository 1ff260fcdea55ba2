"""Start everything on this machine and stay in the foreground until it is stopped."""

import os
import socket
import subprocess
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from pkgindex.env import ROOT
from pkgindex.quickstart import mirrors
from pkgindex.quickstart.credentials import CREDENTIALS_FILE
from pkgindex.quickstart.front import ENVIRONMENT, Front
from pkgindex.quickstart.home import complete_environment, open_directory, port_is_free
from pkgindex.quickstart.lock import SupervisorLock
from pkgindex.quickstart.supervisor import Plan, Supervisor, bracketed, commands, guarded

PREPARE_SECONDS = 600


class Command(BaseCommand):
    """Needs nothing but Python and this project's dependencies."""

    help = "Start Redis, web server, worker and scheduler on this machine; Ctrl-C stops them and all data is kept."
    requires_system_checks: list[str] = []  # the settings loaded here are not yet those of the data directory

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data", type=Path, default=settings.DATA_DIR, help="Folder of all data (%(default)s).")
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (%(default)s).")
        parser.add_argument("--port", type=_number(1, 65_535), default=8000, help="Port to listen on (%(default)s).")
        parser.add_argument("--nodes", type=_number(0, 20), default=2, help="Mirror nodes on loopback (%(default)s).")
        parser.add_argument("--workers", type=_number(1, 64), default=2, help="Web processes (%(default)s).")
        parser.add_argument("--nginx", action="store_true", help="Put nginx in front, as deploy/nginx has it.")
        parser.add_argument("--tls", action="store_true", help="nginx with HTTPS, HTTP/2 and a certificate of our own.")
        parser.add_argument("--no-worker", action="store_true", help="Start no background worker and no scheduler.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        directory = options["data"].expanduser().resolve()
        open_directory(directory)
        lock = SupervisorLock(directory)
        lock.take()
        _require_free(options["host"], options["port"])
        front = _front(directory, options)
        nginx = front.command() if front else None
        redis = complete_environment(directory)
        nodes = mirrors.local_nodes(directory, options["nodes"])
        plan = Plan(
            directory=directory,
            host=options["host"],
            port=options["port"],
            workers=options["workers"],
            with_worker=not options["no_worker"],
            redis=redis,
            nodes={node.name: mirrors.command(directory, node) for node in nodes},
            front=front,
            nginx=nginx,
        )
        environment = _environment(plan)
        fresh = not (directory / CREDENTIALS_FILE).exists()
        _prepare(plan, nodes, environment, lock)
        self.stdout.write(f"starting on {plan.url}; data in {directory}; Ctrl-C stops everything")
        self.stdout.flush()
        sys.exit(Supervisor(lock).run(commands(plan, fresh=fresh), environment))


def _front(directory: Path, options: dict[str, Any]) -> Front | None:
    if not options["nginx"] and not options["tls"]:
        return None
    return Front(directory, f"{bracketed(options['host'])}:{options['port']}", options["tls"])


def _number(least: int, most: int) -> Any:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}.")
        return int(text)

    return parse


def _require_free(host: str, port: int) -> None:
    try:
        free = port_is_free(host, port)
    except OSError as error:
        raise CommandError(f"Nothing can listen on {host} port {port}: {error.strerror}.") from error
    if not free:
        raise CommandError(f"Port {port} on {host} is in use by another program; choose another with --port.")


def _environment(plan: Plan) -> dict[str, str]:
    """The environment of every part: ours, with the data directory and, beyond loopback, the names of this machine."""
    chosen = os.environ | {"PKGINDEX_DATA": str(plan.directory), "PYTHONUNBUFFERED": "1"}
    chosen.setdefault("WEB_PROCESSES", str(plan.workers))
    for name, value in (ENVIRONMENT if plan.front else {}).items():
        chosen.setdefault(name, value)
    if not chosen.get("ALLOWED_HOSTS") and not _is_loopback(plan.host):
        names = ["127.0.0.1", "localhost", "[::1]", plan.host, socket.gethostname(), socket.getfqdn()]
        chosen["ALLOWED_HOSTS"] = ",".join(dict.fromkeys(names))
    return chosen


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _prepare(plan: Plan, nodes: Sequence[mirrors.LocalNode], environment: dict[str, str], lock: SupervisorLock) -> None:
    """Run `manage.py prepare` with the settings of the data directory, which this process did not start with.

    Redis is not up yet, so nothing is said about its absence: a new one holds nothing that could be stale.
    """
    words = [word for node in nodes for word in ("--node", f"{node.name}={node.url}")]
    command = guarded(lock, [sys.executable, str(ROOT / "manage.py"), "prepare", "--url", plan.url, *words])
    quiet = environment | {"LOG_LEVEL": "ERROR"}
    try:
        done = subprocess.run(command, env=quiet, cwd=ROOT, timeout=PREPARE_SECONDS, check=False)  # noqa: S603 - ours
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"Preparing took more than {PREPARE_SECONDS} s.") from error
    if done.returncode:
        sys.exit(done.returncode)
