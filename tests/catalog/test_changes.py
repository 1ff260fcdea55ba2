"""The one transaction in which the catalogue changes."""

import threading

import pytest
from django.db import connection
from django_redis import get_redis_connection

from pkgindex.audit.models import AuditEntry
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import versions
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import Index, JournalEntry, JournalHead, Project


@pytest.fixture
def project(transactional_db) -> Project:
    """A project in an index of its own."""
    index = Index.objects.create(slug="main", is_default=True)
    return Project.objects.create(index=index, name="Acme", normalized_name="acme")


def test_change_takes_next_serial_and_publishes_versions(project):
    """A change numbers itself, moves its project's and index's version and tells Redis after the commit."""
    with changing(project.index_id, "main", SYSTEM) as change:
        change.note("create project", project)

    project.refresh_from_db()
    assert project.last_serial == JournalEntry.objects.get().serial == 1
    redis = get_redis_connection("default")
    assert redis.get(versions.key(project.index_id, "acme")) == redis.get(versions.key(project.index_id)) == b"1"
    assert AuditEntry.objects.get().target == "main/acme"


def test_change_that_fails_leaves_nothing(project):
    """An error inside rolls everything back: no serial is used up and no version moves."""

    def fail() -> None:
        with changing(project.index_id, "main", SYSTEM) as change:
            change.note("create project", project)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert not JournalEntry.objects.exists()
    assert not AuditEntry.objects.exists()
    assert get_redis_connection("default").get(versions.key(project.index_id, "acme")) is None


def test_change_without_a_note_is_no_change(project):
    """A transaction that turns out to have nothing to do takes no serial."""
    with changing(project.index_id, "main", SYSTEM):
        pass

    assert JournalHead.objects.get().serial == 0


def test_serials_have_no_gap_and_are_committed_in_order(project):
    """With eight writers at once a reader never sees serial n before n-1."""
    seen: list[list[int]] = []
    faults: list[BaseException] = []
    done = threading.Event()

    def write() -> None:
        try:
            for _ in range(10):
                with changing(project.index_id, "main", SYSTEM) as change:
                    change.note("yank file", project)
        except BaseException as error:  # noqa: BLE001  (the main thread reports it)
            faults.append(error)
        finally:
            connection.close()

    def read() -> None:
        try:
            while not done.wait(0.002):
                seen.append(sorted(JournalEntry.objects.values_list("serial", flat=True)))
        finally:
            connection.close()

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write) for _ in range(8)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    done.set()
    reader.join(10)

    assert not faults
    assert sorted(JournalEntry.objects.values_list("serial", flat=True)) == list(range(1, 81))
    assert all(serials == list(range(1, len(serials) + 1)) for serials in seen)
