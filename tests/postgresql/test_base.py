"""When a kept connection to PostgreSQL is asked whether it lives."""

import pytest
from django.db import connection

from pkgindex.catalog.models import Index

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL's own backend"),
]


@pytest.fixture(autouse=True)
def as_between_requests():
    """A connection that is kept, as at the beginning of each request."""
    connection.ensure_connection()
    before, connection.health_check_enabled = connection.health_check_enabled, True
    yield
    connection.health_check_enabled = before


@pytest.fixture
def other():
    """A second connection, which sees what the server was asked over the first."""
    used = connection.connection
    with type(used).connect(used.info.dsn, password=used.info.password, autocommit=True) as one:
        yield one


def _heard(other) -> str:
    """The last statement that came over the kept connection, as the server has it."""
    pid = connection.connection.info.backend_pid
    return other.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()[0]


def _request() -> int:
    """What a request does with the database."""
    connection.health_check_done = False
    return Index.objects.count()


def test_a_connection_in_use_is_not_asked(other):
    """Requests that follow each other closely send their own statements and nothing else."""
    assert connection.is_usable()
    _request()
    assert connection.is_usable()
    assert "catalog_index" in _heard(other)


def test_an_idle_connection_is_asked_once(other):
    """After seconds without a check it is made again, and trusted for as long."""
    connection._well_until = 0.0
    assert connection.is_usable()
    assert _heard(other) == "SELECT 1"
    _request()
    assert connection.is_usable()
    assert "catalog_index" in _heard(other)


def test_a_connection_that_the_server_ended_is_replaced(other):
    """A restart of the server, seconds after the last request: the next one connects anew and is answered."""
    assert connection.is_usable()
    ended = connection.connection
    other.execute("SELECT pg_terminate_backend(%s, 5000)", [ended.info.backend_pid])
    assert _request() == 0
    assert connection.connection is not ended
