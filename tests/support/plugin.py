"""Loaded by pytest before Django's settings are: gives them a data directory and a Redis of their own.

Each pytest process (each xdist worker) gets its own pair, so that tests side by side never meet.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

HOME = Path(tempfile.mkdtemp(prefix="pkgindex-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

os.environ["PKGINDEX_DATA"] = str(HOME)
os.environ["SECRET_KEY"] = "only-for-tests-" + "x" * 50
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ.pop("CACHE_URL", None)
os.environ.pop("CELERY_BROKER_URL", None)

from tests.support.servers import RedisServer

redis_server = RedisServer(HOME / "redis").start()
os.environ["REDIS_URL"] = redis_server.url
