"""`manage.py mirror_node`: a mirror node on this machine, for development and the quick start."""

import argparse
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

import balancing
from balancing import conf
from balancing.models import NAME
from balancing.signing import Keyring

EXAMPLES = """\
examples:
  one node with this project's keys, reached at http://127.0.0.1:9101:
    manage.py mirror_node --root /srv/mirror-1 --port 9101 --id node-1 --keys-from-settings
  one with keys of its own, the current one first:
    MIRROR_KEYS=k2:<64 hex digits>,k1:<64 hex digits> manage.py mirror_node --root /srv/m --port 9101 --id node-1

The id must be the name that the node has in this project: signatures are made for it. The command becomes gunicorn,
one process with threads; SIGTERM ends it. In production start gunicorn yourself, without Django and this project:
    MIRROR_ROOT=/srv/mirror MIRROR_ID=node-1 MIRROR_KEYS=... gunicorn --threads 16 'balancing.node.app:create()'
"""


class Command(BaseCommand):
    """Checks what it was told, then becomes gunicorn."""

    help = "Run a mirror node that keeps its files in a folder."
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--root", required=True, help="the folder of its files; it is made where it is missing")
        parser.add_argument("--port", required=True, type=int, help="the TCP port, 1 to 65535")
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
        parser.add_argument("--id", default="node-1", help="the node's name, for which URLs are signed (%(default)s)")
        parser.add_argument(
            "--keys-from-settings", action="store_true", help="trust the keys of BALANCING; else those of MIRROR_KEYS"
        )
        parser.add_argument("--threads", type=int, default=16, help="transfers at once (%(default)s)")
        parser.add_argument(
            "--reserve", type=int, default=1_000_000_000, help="bytes of the disk that stay free (%(default)s)"
        )
        parser.add_argument("--accel", default="", help="nginx's internal location, where an nginx sends the files")

    def handle(self, *_args: Any, **options: Any) -> None:
        self._check_numbers(options)
        name = options["id"]
        try:
            NAME(name)
        except ValidationError as error:
            raise CommandError(f"--id {name}: {' '.join(error.messages)}") from None
        keys = _own_keys(name) if options["keys_from_settings"] else _given_keys()
        root = _folder(Path(options["root"]).absolute())
        self._check_address(options["host"], options["port"])
        own = {"MIRROR_ROOT": str(root), "MIRROR_ID": name, "MIRROR_KEYS": keys}
        own |= {"MIRROR_RESERVE": str(options["reserve"]), "MIRROR_ACCEL": options["accel"]}
        sys.stdout.flush()
        _become(options["host"], options["port"], options["threads"], own)

    def _check_numbers(self, options: dict[str, Any]) -> None:
        for name, least, most in (("port", 1, 65_535), ("threads", 1, 1_000), ("reserve", 0, 1 << 62)):
            if not least <= options[name] <= most:
                raise CommandError(f"--{name} is a number from {least} to {most}; {options[name]} is not.")
        accel = options["accel"]
        if accel and not (accel.startswith("/") and accel.endswith("/")):
            raise CommandError("--accel is a path that begins and ends with a slash, such as /files-internal/.")

    def _check_address(self, host: str, port: int) -> None:
        """Say now what gunicorn would say later and at length; the port can still be taken in between."""
        try:
            family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(address)
        except (OSError, UnicodeError) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise CommandError(f"The node cannot listen on {host}, port {port}: {text}.") from None


def _own_keys(name: str) -> str:
    try:
        conf.get().keyring(name)
    except (ImproperlyConfigured, ValueError) as error:
        raise CommandError(str(error)) from None
    return ",".join(f"{ident}:{text}" for ident, text in conf.get().keys.items())


def _given_keys() -> str:
    text = os.environ.get("MIRROR_KEYS", "")
    if not text:
        raise CommandError("A node needs keys: set MIRROR_KEYS=<id>:<64 hex digits>, or give --keys-from-settings.")
    pairs = [pair.strip().partition(":") for pair in text.split(",")]
    try:
        Keyring(pairs[0][0], {ident: bytes.fromhex(key) for ident, _, key in pairs})
    except ValueError:
        # The exception could name the key.
        raise CommandError("MIRROR_KEYS is <id>:<64 hex digits>, several with commas between.") from None
    return text


def _folder(root: Path) -> Path:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise CommandError(f"--root {root} is a file and should be a folder.") from None
    except OSError as error:
        raise CommandError(f"--root {root} cannot be made: {error.strerror}.") from None
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise CommandError(f"--root {root} cannot be written.")
    return root


def _become(host: str, port: int, threads: int, own: dict[str, str]) -> NoReturn:
    """Replace this process: whoever supervises it has gunicorn itself, under the same id."""
    above = str(Path(balancing.__file__).parents[1])  # found by gunicorn too, wherever it is started
    path = os.pathsep.join(filter(None, (above, os.environ.get("PYTHONPATH", ""))))
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [sys.executable, "-m", "gunicorn", "balancing.node.app:create()", "--bind", bind, "--workers", "1"]
    command += ["--worker-class", "gthread", "--threads", str(threads), "--keep-alive", "5", "--graceful-timeout", "10"]
    command += ["--no-control-socket", "--name", f"mirror-{own['MIRROR_ID']}"]
    with suppress(ValueError, OSError):
        sys.stderr.flush()
    environment = {**os.environ, **own, "PYTHONPATH": path}
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted
