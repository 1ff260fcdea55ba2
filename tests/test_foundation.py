"""The ground floor: near cache, breaker, client address, journal."""

import pytest
from django_redis import get_redis_connection

from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import versions
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import JournalEntry, Project


@pytest.mark.django_db(transaction=True)
def test_change_takes_next_serial_and_publishes_versions(index):
    """A change numbers itself, moves its project's and index's version and tells Redis after the commit."""
    project = Project.objects.create(index=index, name="Acme", normalized_name="acme")

    with changing(index.pk, index.slug, SYSTEM) as change:
        change.note("create project", project)

    project.refresh_from_db()
    assert project.last_serial == 1 == JournalEntry.objects.get().serial
    redis = get_redis_connection("default")
    assert redis.get(versions.key(index.pk, "acme")) == b"1" == redis.get(versions.key(index.pk))
