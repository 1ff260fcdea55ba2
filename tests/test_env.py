"""The reader of the environment: what it takes, and that it names every mistake."""

from pathlib import Path

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from kombu import Connection

from pkgindex import env
from tests.support.servers import PASSWORD, RedisServer

NAMES = (
    "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "PUBLIC_URL", "HTTPS_ONLY", "DATABASE_URL", "REDIS_URL", "CACHE_URL",
    "CELERY_BROKER_URL", "BLOB_STORAGE", "TRUSTED_PROXIES", "MAX_UPLOAD_BYTES", "LOG_LEVEL", "LIMITS_REDIS_URL",
    "LIMITS_REDIS_CLUSTER", "PAGE_CACHE_URL", "LIMITS_MAIL_TO", "LIMITS_WEBHOOKS",
    "EMAIL_URL", "DEFAULT_FROM_EMAIL", "METRICS_NETWORKS",
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


def test_one_redis_on_a_socket_is_cache_and_broker(home, monkeypatch, tmp_path):
    """REDIS_URL may name a socket: both are reached there, each in its database, with the password."""
    place = tmp_path / "socket"
    monkeypatch.setenv("REDIS_URL", f"unix://:{PASSWORD}@{place}")
    found = env.load()
    server = RedisServer(tmp_path / "redis", more=f"unixsocket {place}\n").start()
    try:
        with redis.Redis.from_url(found.cache_url) as cache, Connection(found.broker_url) as broker:
            assert cache.ping()
            assert cache.connection_pool.connection_kwargs["db"] == 1
            broker.ensure_connection(max_retries=1, timeout=5)
            with broker.SimpleQueue("tasks") as queue:
                queue.put("one")
            assert cache.dbsize() == 0
    finally:
        server.stop()


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
        ("PAGE_CACHE_URL", "memcached://host"),
        ("PAGE_CACHE_URL", "memcached://a:1,b"),
        ("PAGE_CACHE_URL", "redis://host:1"),
        ("BLOB_STORAGE", "{"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,everybody"),
        ("METRICS_NETWORKS", "10.0.0.0/99"),
        ("LIMITS_REDIS_URL", "somewhere"),
        ("LIMITS_REDIS_URL", "http://host"),
        ("LIMITS_REDIS_URL", "redis://host:99999999"),
        ("LIMITS_REDIS_CLUSTER", "node"),
        ("LIMITS_REDIS_CLUSTER", "node:0"),
        ("LIMITS_REDIS_CLUSTER", "node:70000"),
        ("LIMITS_REDIS_CLUSTER", "http://node:7000"),
        ("LIMITS_REDIS_CLUSTER", "rediss://"),
        ("LIMITS_REDIS_CLUSTER", ":7000"),
        ("LIMITS_MAIL_TO", "nobody"),
        ("LIMITS_MAIL_TO", "a@b@c"),
        ("LIMITS_WEBHOOKS", "ftp://host/"),
        ("LIMITS_WEBHOOKS", "https://"),
        ("LIMITS_WEBHOOKS", "file:///etc/passwd"),
        ("LIMITS_WEBHOOKS", "https://fine.example.org/,nonsense"),
        ("LIMITS_WEBHOOKS", "https://[half"),
        ("EMAIL_URL", "host"),
        ("EMAIL_URL", "imap://host"),
        ("EMAIL_URL", "smtp://"),
        ("EMAIL_URL", "smtp://host:port"),
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp://relay", ("relay", 25, "", "", False, False)),
        ("smtp+tls://me%40x:p%2Fw@mail.example.org", ("mail.example.org", 587, "me@x", "p/w", True, False)),
        ("smtps://u:p@mail.example.org", ("mail.example.org", 465, "u", "p", False, True)),
        ("smtp://127.0.0.1:2525", ("127.0.0.1", 2525, "", "", False, False)),
    ],
)
def test_mail_server(home, monkeypatch, text, expected):
    """Scheme, host, port and credentials; every wait is bounded."""
    monkeypatch.setenv("EMAIL_URL", text)

    options = env.load().mail["OPTIONS"]

    assert options.pop("timeout") == 10
    assert tuple(options.values()) == expected


def test_mail_to_the_terminal(home, monkeypatch):
    """For trying things out."""
    monkeypatch.setenv("EMAIL_URL", "console:")

    assert env.load().mail["BACKEND"].endswith("console.EmailBackend")


def test_limits_of_their_own(home, monkeypatch):
    """A Redis, who hears of bans, who reads metrics."""
    monkeypatch.setenv("LIMITS_REDIS_URL", "rediss://:p@limits.example.org:6380/0")
    monkeypatch.setenv("LIMITS_MAIL_TO", "ann@example.org, bob@example.org")
    monkeypatch.setenv("LIMITS_WEBHOOKS", "https://hooks.example.org/a?b=c")
    monkeypatch.setenv("METRICS_NETWORKS", "10.0.0.0/8")

    found = env.load()

    assert found.limits_redis_url == "rediss://:p@limits.example.org:6380/0"
    assert found.limits_mail_to == ["ann@example.org", "bob@example.org"]
    assert found.limits_webhooks == ["https://hooks.example.org/a?b=c"]
    assert [str(network) for network in found.metrics_networks] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    ("text", "nodes", "options"),
    [
        ("a:7000,b:7001", ["a:7000", "b:7001"], {}),
        ("redis://a:7000", ["a:7000"], {}),
        ("rediss://u:p%2Cw@a:7000, b:7001", ["a:7000", "b:7001"], {"username": "u", "password": "p,w", "ssl": True}),
        ("redis://:p@[::1]:7000", ["[::1]:7000"], {"password": "p"}),
    ],
)
def test_limits_in_a_cluster(home, monkeypatch, text, nodes, options):
    """Some of its nodes, with what all of them ask for."""
    monkeypatch.setenv("LIMITS_REDIS_CLUSTER", text)

    found = env.load()

    assert (found.limits_cluster, found.limits_cluster_options) == (nodes, options)


def test_limits_are_counted_in_one_place(home, monkeypatch):
    """Two answers to the same question are a mistake."""
    monkeypatch.setenv("LIMITS_REDIS_CLUSTER", "a:7000")
    monkeypatch.setenv("LIMITS_REDIS_URL", "redis://b")

    with pytest.raises(ImproperlyConfigured, match="both set"):
        env.load()


@pytest.mark.parametrize("name", ["EMAIL_URL", "LIMITS_REDIS_URL", "LIMITS_REDIS_CLUSTER", "LIMITS_WEBHOOKS"])
def test_what_is_wrong_is_told_without_the_password(home, monkeypatch, name):
    """The message may end in a log."""
    monkeypatch.setenv(name, "odd://user:hidden-word@host")

    with pytest.raises(ImproperlyConfigured, match=name) as refusal:
        env.load()
    assert "hidden-word" not in str(refusal.value)


def test_nothing_set_counts_limits_beside_the_cache(home):
    """And only this machine reads metrics unasked."""
    found = env.load()

    assert (found.limits_redis_url, found.limits_cluster, found.limits_webhooks) == ("", [], [])
    assert [str(network) for network in found.metrics_networks] == ["127.0.0.0/8", "::1/128"]
