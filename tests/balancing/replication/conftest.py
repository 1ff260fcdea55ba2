"""Nodes, a source and, where a test wants them, workers."""

from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connections

from tests.balancing.celery_app import app
from tests.balancing.replication.folder import FolderSource
from tests.balancing.replication.world import NodeServer, connection_to


def look_anew():
    from balancing import shared, snapshot

    shared.ask(lambda client: client.delete(snapshot.KEY), None)
    snapshot.reset()


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Two nodes that all tests share; each test begins with empty ones."""
    folder = tmp_path_factory.mktemp("nodes")
    both = [NodeServer(name, folder).start() for name in ("n1", "n2")]
    yield both
    for one in both:
        one.kill()


@pytest.fixture
def nodes(servers):
    from balancing.models import Node

    for one in servers:
        if one.process is None:
            one.start()
        for digest in one.files():
            one.path(digest).unlink()
        one.log.write_text("")
        Node.objects.create(name=one.name, url=one.url)
    look_anew()
    return servers


@pytest.fixture(autouse=True)
def look():
    """Read the nodes anew, after a test has changed them behind everybody's back."""
    look_anew()
    return look_anew


@pytest.fixture
def source(tmp_path, monkeypatch, settings):
    folder = tmp_path / "originals"
    folder.mkdir()
    monkeypatch.setenv("REPLICATION_FOLDER", str(folder))
    settings.BALANCING = {**settings.BALANCING, "SOURCE": "tests.balancing.replication.folder.source"}
    return FolderSource(folder)


@pytest.fixture(autouse=True)
def broker():
    """A broker in memory, which nobody works for, unless a test names another."""
    from balancing.replication import sending

    sending.breaker.until = 0.0
    before, app.conf.broker_url = app.conf.broker_url, "memory://"
    yield app
    app.conf.broker_url = before
    sending.breaker.until = 0.0


@contextmanager
def database_in(path):
    """The database in a file that workers share."""
    before = connections["default"]
    made = connections["default"] = connection_to(path)
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        made.close()
        connections["default"] = before


@pytest.fixture
def shared_database(tmp_path, django_db_blocker):
    with django_db_blocker.unblock(), database_in(tmp_path / "db.sqlite3"):
        yield tmp_path / "db.sqlite3"
