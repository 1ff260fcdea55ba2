"""What one small upload costs at most, so that nobody makes it dearer without noticing."""

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis.connection import AbstractConnection

from balancing import snapshot
from pkgindex.blobs import files, store
from tests.support.distributions import wheel
from tests.support.uploads import post, upload_body

pytestmark = pytest.mark.django_db(transaction=True)

# Two files, the new folder of each, and the folder above that; what the database syncs at its commit is not counted.
FSYNCS = 6
POSTGRES = connection.vendor == "postgresql"


@pytest.fixture
def cost(client, index, people, basic, monkeypatch) -> Callable[..., Counter[str]]:
    """Upload a wheel as somebody whose credentials are in the near cache, and count."""
    counts: Counter[str] = Counter()
    for number in range(256):
        Path(store.storage().location, f"{number:02x}").mkdir(parents=True)
    monkeypatch.setattr(files, "SETTLING", 0.0)  # they have been there for long
    picture = snapshot.current()
    monkeypatch.setattr(snapshot, "current", lambda: picture)  # else it is looked up once a second, by whoever asks
    fsync, send = os.fsync, AbstractConnection.send_packed_command

    def counted_fsync(fd: int) -> None:
        counts["fsync"] += 1
        fsync(fd)

    def counted_send(self, command, check_health=True) -> None:
        counts["redis"] += 1
        send(self, command, check_health=check_health)

    def upload(name: str, version: str, who: str = "owner") -> Counter[str]:
        headers = basic(who, f"{who}-password")
        client.get("/simple/", **headers)  # whoever they are is known then
        body = upload_body(*wheel(name, version), name=name, version=version)
        counts.clear()
        with monkeypatch.context() as patch, CaptureQueriesContext(connection) as queries:
            patch.setattr(os, "fsync", counted_fsync)
            patch.setattr(AbstractConnection, "send_packed_command", counted_send)
            answer = post(client, "/legacy/", body, **headers)
        assert (answer.status_code, answer.content) == (200, b"")
        return counts | Counter(sql=len(queries))

    return upload


def test_next_version_of_a_project(cost):
    """Six statements look, ten write in one transaction with its BEGIN and COMMIT; Redis is asked twice.

    PostgreSQL gets those that need no answer of each other in one message.
    """
    cost("acme", "1.0")
    for version in ("1.1", "1.2"):
        counts = cost("acme", version)
        assert counts["sql"] <= (5 if POSTGRES else 18)
        assert counts["redis"] == 2
        assert counts["fsync"] <= FSYNCS


@pytest.mark.parametrize(
    ("who", "sql", "redis"), [("owner", 7 if POSTGRES else 24, 2), ("uploader", 8 if POSTGRES else 25, 3)]
)
def test_first_version_of_a_project(cost, who, sql, redis):
    """The creator's role costs a few more, and whoever gets a right by it is looked up anew next time."""
    cost("other", "1.0")
    counts = cost("acme", "1.0", who)
    assert (counts["sql"], counts["redis"]) <= (sql, redis)
    assert counts["fsync"] <= FSYNCS


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plans")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_no_statement_reads_what_grows_with_the_index(cost, version):
    """Every statement finds its few rows by a narrow index, however many files and projects the index has."""
    cost("acme", "1.0")
    with CaptureQueriesContext(connection) as queries:
        cost("acme" if version == "1.1" else "other", version)
    statements = [one["sql"] for one in queries if re.match("SELECT|UPDATE|DELETE", one["sql"])]
    assert len(statements) > 5
    for sql in statements:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + sql.replace("%", "%%"))
            plan = [row[3] for row in cursor.fetchall()]
        for line in plan:
            assert not re.match(r"SCAN (catalog|blobs|audit)_", line), sql
            assert not re.search(r"INDEX \w+_index_id_\w+ \(index_id=\?\)$", line), f"{line}: {sql}"


def test_same_file_again(cost):
    """What is there already changes nothing, and costs neither a fsync nor a transaction."""
    cost("acme", "1.0")
    counts = cost("acme", "1.0")
    assert counts["sql"] <= 7
    assert (counts["redis"], counts["fsync"]) == (0, 0)


def test_bytes_that_are_there_already(cost, index):
    """Bytes of another index are claimed and looked at, and not written again."""
    cost("acme", "1.0")
    before = {sha256: store.modified_at(sha256) for sha256, _ in store.walk()}
    index.files.all().delete()
    index.projects.all().delete()
    counts = cost("acme", "1.0")
    assert counts["fsync"] == 0
    assert {sha256: store.modified_at(sha256) for sha256, _ in store.walk()} == before
