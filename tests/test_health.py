"""`/livez` and `/readyz`, with parts that are really down."""

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from django.db import connection

from pkgindex import health, heartbeat
from pkgindex.tasks import beat_heart
from tests.quickstart.service import ROOT, clean_environment
from tests.support.servers import free_port, wait_for_port

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "python:pkgindex.gunicorn_conf", "-w", "1"]
PARTS = {"database", "redis", "blobs", "worker", "beat", "limits"}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _look_anew():
    for probe in health.PROBES.values():
        probe.forget()


@pytest.fixture
def alive():
    """A worker has just run the heartbeat and beat has just sent it."""
    beat_heart()
    heartbeat.beat_now(heartbeat.BEAT)


def parts_down(answer) -> set[str]:
    return {name for name, part in answer.json()["parts"].items() if part["status"] != "up"}


def test_alive_without_looking_at_anything(client, redis_server, django_assert_num_queries):
    """`/livez` answers though Redis is gone, and asks no database."""
    redis_server.stop()

    with django_assert_num_queries(0):
        answer = client.get("/livez")

    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")


def test_ready_when_all_parts_are_up(client, alive):
    """200, each part named with state, latency and a sentence, and never cached."""
    answer = client.get("/readyz")

    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"] == "no-store"
    assert answer.json()["status"] == "up"
    assert set(answer.json()["parts"]) == PARTS
    assert all(set(part) == {"status", "latency_ms", "sentence"} for part in answer.json()["parts"].values())


@pytest.mark.parametrize("path", ["/livez", "/readyz?exclude=worker&exclude=beat"])
def test_head_and_wrong_methods(client, path):
    """HEAD answers as GET does; nothing else is allowed."""
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405


def test_excluded_parts_are_left_out(client):
    """A process set without worker and beat can be ready."""
    assert client.get("/readyz").status_code == 503
    answer = client.get("/readyz?exclude=worker&exclude=beat")

    assert answer.status_code == 200
    assert set(answer.json()["parts"]) == PARTS - {"worker", "beat"}


@pytest.mark.parametrize("name", ["", "Redis", "nothing", "x" * 5000, "<script>"])
def test_unknown_part(client, name):
    """A typing mistake in a probe's address is not taken for health."""
    answer = client.get("/readyz", {"exclude": name})

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert len(answer.content) < 1000


def test_redis_down(client, redis_server, alive):
    """Redis stopped takes readiness with it, by name, and gives it back when it is started again."""
    redis_server.stop()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert parts_down(answer) == {"redis", "worker", "beat", "limits"}
    assert answer.json()["parts"]["limits"]["status"] == "degraded"
    assert "test@" not in answer.text

    redis_server.start()
    time.sleep(1.1)  # the limiter tries an absent store once a second
    for probe in health.PROBES.values():
        probe.forget()
    assert parts_down(client.get("/readyz?exclude=worker&exclude=beat")) == set()


def test_redis_that_hangs(client, redis_server, alive):
    """A Redis that accepts and never answers costs no more than the bound."""
    redis_server.process.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        answer = client.get("/readyz")
        elapsed = time.monotonic() - started
    finally:
        redis_server.process.send_signal(signal.SIGCONT)

    assert answer.status_code == 503
    assert "redis" in parts_down(answer)
    assert elapsed < 15


def test_limits_without_their_store_do_not_make_a_host_unready(client, alive, settings, monkeypatch):
    """The store is away from every host at once: the part is degraded, says since when, and readiness stays."""
    from throttling import store

    settings.THROTTLING = {**settings.THROTTLING, "CACHE": "elsewhere"}
    location = f"redis://:hidden-word@127.0.0.1:{free_port()}/1"
    settings.CACHES = {**settings.CACHES, "elsewhere": {**settings.CACHES["default"], "LOCATION": location}}
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    part = answer.json()["parts"]["limits"]
    assert part["status"] == "degraded"
    assert "since 0 s" in part["sentence"]
    assert "hidden-word" not in answer.text
    assert "127.0.0.1" not in answer.text
    settings.THROTTLING = {**settings.THROTTLING, "CACHE": "default"}
    store.reset()
    health.PROBES["limits"].forget()
    assert client.get("/readyz").json()["parts"]["limits"]["sentence"] == "Their store answers."


def test_limits_in_memory_are_up(client, alive, settings):
    """One process with its own memory has nothing to lose."""
    settings.THROTTLING = {**settings.THROTTLING, "STORE": "memory"}

    assert client.get("/readyz").json()["parts"]["limits"]["status"] == "up"


def test_worker_gone_but_beat_sends(client):
    """A worker that is silent while beat sends is the part that is down."""
    heartbeat.beat_now(heartbeat.BEAT)
    answer = client.get("/readyz")

    assert parts_down(answer) == {"worker"}
    assert "None has run" in answer.json()["parts"]["worker"]["sentence"]


def test_beat_gone(client):
    """Without beat nothing tells whether a worker works, and the sentence says so."""
    answer = client.get("/readyz")

    assert parts_down(answer) == {"worker", "beat"}
    assert "cannot be told" in answer.json()["parts"]["worker"]["sentence"]


def test_storage_that_cannot_be_written(client, alive, settings, tmp_path):
    """A folder that cannot be is named, and its path is not."""
    (tmp_path / "file").write_text("")
    settings.STORAGES = {
        **settings.STORAGES,
        "blobs": {**settings.STORAGES["blobs"], "OPTIONS": {"location": str(tmp_path / "file" / "blobs")}},
    }
    answer = client.get("/readyz")

    assert parts_down(answer) == {"blobs"}
    assert str(tmp_path) not in answer.text


def test_migration_that_is_not_applied(client, alive):
    """A database of an older version is not ready."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit'")
    try:
        answer = client.get("/readyz")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('audit', '0001_initial', CURRENT_TIMESTAMP)"
            )

    assert parts_down(answer) == {"database"}
    assert "1 migrations are not applied" in answer.json()["parts"]["database"]["sentence"]


def test_database_that_never_answers(tmp_path):
    """A database server that accepts and stays silent is reported in time, by every request, under gunicorn."""
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent, (tmp_path / "log").open("wb") as log:
        database = f"postgres://somebody:hidden-word@127.0.0.1:{silent.getsockname()[1]}/pkgindex"
        server = subprocess.Popen(
            [*GUNICORN, "-b", f"127.0.0.1:{port}", "pkgindex.wsgi"],
            cwd=ROOT,
            env=clean_environment(PKGINDEX_DATA=str(tmp_path), DATABASE_URL=database, SECRET_KEY="x" * 50),
            stdout=log,
            stderr=log,
        )
        try:
            wait_for_port(port)
            # gunicorn listens before its worker has loaded us: what is measured begins when that is done.
            assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30, trust_env=False).status_code == 200
            for _ in range(2):
                answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20, trust_env=False)
                assert answer.status_code == 503
                assert answer.elapsed.total_seconds() < 10  # libpq alone would wait for minutes
                assert answer.json()["parts"]["database"]["sentence"] == "It does not answer in time."
                assert "hidden-word" not in answer.text
        finally:
            started = time.monotonic()
            server.terminate()
            server.wait(20)
        assert time.monotonic() - started < 8
