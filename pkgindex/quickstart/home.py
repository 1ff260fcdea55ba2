"""The data directory of one machine's installation, and the settings that are kept in it."""

import errno
import io
import os
import secrets
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from django.core.management.base import CommandError
from dotenv.parser import parse_stream

from pkgindex.env import ENV_FILE, read_file
from pkgindex.quickstart.private import write_private
from pkgindex.quickstart.redisserver import find_server, write_configuration

HEADER = "# Written by `manage.py up`. Every manage.py command with PKGINDEX_DATA set to this folder reads it.\n"
OWN_PORT = "UP_REDIS_PORT"  # beside REDIS_URL: the port of the Redis that `up` starts, absent where it starts none


def open_directory(path: Path) -> None:
    """Create the directory, for its owner alone. Raises CommandError where nothing can be written there.

    A directory that already holds other things keeps its mode; what is put into it is private all the same.
    """
    os.umask(0o077)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (path / ENV_FILE).exists() or not any(path.iterdir()):
            path.chmod(0o700)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise CommandError(f"The data directory {path} cannot be used: {error.strerror}.") from error


def complete_environment(directory: Path) -> list[str] | None:
    """Put into the directory's environment file what is missing, and return the command that starts our Redis.

    None where the operator's REDIS_URL names another one. A port that somebody took meanwhile is replaced.
    Raises CommandError where there is no Redis to start, and ImproperlyConfigured for a broken file.
    """
    path = directory / ENV_FILE
    held = read_file(path)
    wanted: dict[str, str] = {}
    if not (os.environ.get("SECRET_KEY") or held.get("SECRET_KEY")):
        wanted["SECRET_KEY"] = secrets.token_urlsafe(48)
    if os.environ.get("REDIS_URL") or not _is_ours(held):
        merge(path, wanted)
        return None
    server = find_server()
    if server is None:
        raise CommandError("There is no redis-server or valkey-server on PATH; install one, or set REDIS_URL.")
    url = urlsplit(held.get("REDIS_URL", ""))
    port, password = url.port, url.password or secrets.token_urlsafe(32)
    if port is None or not port_is_free("127.0.0.1", port):
        port = free_port()
        wanted |= {"REDIS_URL": f"redis://:{password}@127.0.0.1:{port}", OWN_PORT: str(port)}
    merge(path, wanted)
    return [server, str(write_configuration(directory / "redis", port, password))]


def _is_ours(held: dict[str, str]) -> bool:
    """Whether the file's REDIS_URL is the one `up` wrote, or is yet to be written."""
    if "REDIS_URL" not in held:
        return True
    url = urlsplit(held["REDIS_URL"])
    return url.hostname == "127.0.0.1" and str(url.port) == held.get(OWN_PORT)


def merge(path: Path, values: dict[str, str]) -> None:
    """Set these values in an environment file and leave its other lines as they are."""
    if not values:
        return
    text = path.read_text(encoding="utf-8") if path.exists() else HEADER
    kept = [b.original.string for b in parse_stream(io.StringIO(text)) if b.key not in values]
    if kept and not kept[-1].endswith("\n"):
        kept.append("\n")
    write_private(path, "".join([*kept, *(f"{name}={value}\n" for name, value in values.items())]))


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Raises OSError for a host that is not this machine's."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def free_port() -> int:
    """A TCP port on loopback that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
