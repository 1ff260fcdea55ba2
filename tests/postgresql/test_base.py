"""When a kept connection to PostgreSQL is asked whether it lives."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.catalog.models import Index
from pkgindex.postgresql import base

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
def asked(monkeypatch) -> list[bool]:
    """What Django's own check said, each time that it was made."""
    answers: list[bool] = []
    own = base.base.DatabaseWrapper.is_usable

    def counted(self) -> bool:
        answers.append(own(self))
        return answers[-1]

    monkeypatch.setattr(base.base.DatabaseWrapper, "is_usable", counted)
    return answers


def _request() -> int:
    """What a request does with the database."""
    connection.health_check_done = False
    return Index.objects.count()


def test_a_connection_in_use_is_not_asked(asked):
    """Requests that follow each other closely send their own statements and nothing else."""
    connection.is_usable()
    asked.clear()
    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            _request()
    assert (len(queries), asked) == (3, [])


def test_an_idle_connection_is_asked_once(asked, monkeypatch):
    """After seconds without a check it is made again, and trusted for as long."""
    connection._well_until = 0.0
    _request()
    _request()
    assert asked == [True]


def test_a_connection_that_the_server_ended_is_replaced(asked):
    """A restart of the server, seconds after the last request: the next one connects anew and is answered."""
    connection.is_usable()
    asked.clear()
    ended = connection.connection
    pid = ended.info.backend_pid
    with type(ended).connect(ended.info.dsn, password=ended.info.password, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert _request() == 0
    assert asked == [False]
    assert connection.connection is not ended
