"""What beat sends."""

import pytest

from pkgindex.celery import app


@pytest.mark.django_db
def test_every_scheduled_task_exists():
    """A worker knows each task that the schedule names; importing them runs Django's checks."""
    app.loader.import_default_modules()

    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
