"""The Celery application; tasks live beside what they work on, in each room's tasks.py."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkgindex.settings")

app = Celery("pkgindex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # not only current: threads of the web server send tasks too
