"""A database of its own for each live server: a copied SQLite file, or on PostgreSQL a copied database."""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.support import plugin

Fill = Callable[[dict[str, str]], None]  # migrates and fills the database that an environment names


def on_postgres() -> bool:
    """True where the test run was given a PostgreSQL."""
    return os.environ.get("DATABASE_URL", "").startswith("postgres")


def own_database(directory: Path, fill: Fill) -> None:
    """Make the directory's database, filled by `fill`, unless it exists already."""
    if on_postgres():
        _copy_database(_name(directory), fill)
    elif not (directory / "db.sqlite3").exists():
        shutil.copy(_sqlite_template(fill), directory / "db.sqlite3")


def variables(directory: Path) -> dict[str, str]:
    """What a server on that directory needs in its environment to find its database."""
    return {"DATABASE_URL": _url(_name(directory))} if on_postgres() else {}


@contextmanager
def connection(directory: Path):
    """A plain DB-API connection to the directory's database, closed at the end."""
    if on_postgres():
        with psycopg.connect(_url(_name(directory))) as opened:
            yield opened
        return
    import sqlite3

    opened = sqlite3.connect(directory / "db.sqlite3", timeout=20)
    try:
        yield opened
    finally:
        opened.close()


def _name(directory: Path) -> str:
    return "live_" + hashlib.sha256(str(directory).encode()).hexdigest()[:16]


def _url(database: str) -> str:
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{database}"))


def _execute(statement: str, *names: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _exists(name: str) -> bool:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        return server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _copy_database(name: str, fill: Fill) -> None:
    if not _exists(name):
        _execute("CREATE DATABASE {} TEMPLATE {}", name, _postgres_template(fill))
        atexit.register(_execute, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@cache
def _postgres_template(fill: Fill) -> str:
    name = f"live_template_{os.getpid()}"
    _execute("CREATE DATABASE {}", name)
    atexit.register(_execute, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    fill({"PKGINDEX_DATA": str(plugin.HOME), "DATABASE_URL": _url(name)})
    return name


@cache
def _sqlite_template(fill: Fill) -> Path:
    home = Path(tempfile.mkdtemp(prefix="template-", dir=plugin.HOME))
    fill({"PKGINDEX_DATA": str(home)})
    return home / "db.sqlite3"
