"""The Celery application of the small project: `celery -A tests.balancing.celery_app worker`."""

import os

from celery import Celery
from django.db.backends.signals import connection_created
from django.dispatch import receiver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.standalone.balancing_settings")

app = Celery("small")
app.set_default()  # also for the threads of web servers, which otherwise know no broker
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["balancing.replication"])


@receiver(connection_created)
def _several_writers(connection, **_):
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")


app.conf.broker_url = os.environ.get("STANDALONE_BROKER", "memory://")
app.conf.worker_hijack_root_logger = False
app.conf.broker_connection_retry_on_startup = True
app.conf.broker_transport_options = {"visibility_timeout": 30}
