"""The reader of the environment: what it takes, and that it names every mistake."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from pkgindex import env

NAMES = (
    "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "PUBLIC_URL", "HTTPS_ONLY", "DATABASE_URL", "REDIS_URL", "CACHE_URL",
    "CELERY_BROKER_URL", "BLOB_STORAGE", "TRUSTED_PROXIES", "MAX_UPLOAD_BYTES", "LOG_LEVEL",
)  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty data directory and an environment in which nothing is set."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PKGINDEX_DATA", str(tmp_path))
    return tmp_path


def test_nothing_set_is_one_machine(home):
    """Without any variable everything lies in the data directory and Redis is on loopback."""
    found = env.load()

    assert found.database["NAME"] == str(home / "db.sqlite3")
    assert found.cache_url == "redis://127.0.0.1:6379/1"
    assert found.broker_url == "redis://127.0.0.1:6379/0"
    assert found.blob_storage["OPTIONS"] == {"location": str(home / "blobs")}
    assert not found.debug
    assert not found.secret_key_given
    assert found.secret_key


def test_file_supplies_what_the_environment_does_not(home, monkeypatch):
    """pkgindex.env counts, key included, and the environment wins over it."""
    (home / env.ENV_FILE).write_text("SECRET_KEY=of-the-file\nREDIS_URL=redis://:p@127.0.0.1:7000\nLOG_LEVEL=DEBUG\n")
    monkeypatch.setenv("LOG_LEVEL", "ERROR")

    found = env.load()

    assert (found.secret_key, found.secret_key_given) == ("of-the-file", True)
    assert found.cache_url == "redis://:p@127.0.0.1:7000/1"
    assert found.log_level == "ERROR"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "perhaps"),
        ("HTTPS_ONLY", "2"),
        ("DATABASE_URL", "nothing"),
        ("DATABASE_URL", "oracle9://x"),
        ("REDIS_URL", "somewhere"),
        ("CACHE_URL", "somewhere"),
        ("BLOB_STORAGE", "{"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,everybody"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("MAX_UPLOAD_BYTES", "1e9"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_value_that_cannot_be_used_is_named(home, monkeypatch, name, value):
    """The refusal names the variable, or the one that it supplies."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ImproperlyConfigured, match=name if name != "REDIS_URL" else "CACHE_URL"):
        env.load()


def test_silent_postgresql_is_given_up(home, monkeypatch):
    """Every connection has time-outs, and what the operator writes into the URL wins."""
    monkeypatch.setenv("DATABASE_URL", "postgres://u@db.example.org/name?connect_timeout=2&sslmode=require")

    options = env.load().database["OPTIONS"]

    assert int(options["connect_timeout"]) == 2
    assert options["sslmode"] == "require"
    assert options["tcp_user_timeout"] == env.POSTGRES_OPTIONS["tcp_user_timeout"]


def test_all_mistakes_are_named_at_once(home, monkeypatch):
    """Nobody mends one variable a start."""
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("DATABASE_URL", "nothing")
    monkeypatch.setenv("TRUSTED_PROXIES", "everybody")

    with pytest.raises(ImproperlyConfigured) as refusal:
        env.load()

    assert all(name in str(refusal.value) for name in ("LOG_LEVEL", "DATABASE_URL", "TRUSTED_PROXIES"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"A=1\nnothing here\n", "line 2"), (b"A=1\n\nB\n", "line"), (b"\xff\xfe", "cannot be read")],
)
def test_broken_file_is_refused(home, content, reason):
    """Half of an installation's settings is not a working one."""
    (home / env.ENV_FILE).write_bytes(content)

    with pytest.raises(ImproperlyConfigured, match=rf"{env.ENV_FILE}.*{reason}"):
        env.load()


def test_file_that_is_a_folder_is_refused(home):
    """A sentence, not a traceback."""
    (home / env.ENV_FILE).mkdir()

    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        env.load()
