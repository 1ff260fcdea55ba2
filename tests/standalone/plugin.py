"""Loaded by pytest before Django's settings are: a Redis of this run's own, and nothing of the product."""

import os
import sys
from importlib.abc import MetaPathFinder

from tests.standalone.servers import Redis

APP = os.environ["STANDALONE_APP"]
OTHERS = {"pkgindex", "throttling", "balancing"} - {APP}


class Absent(MetaPathFinder):
    """Makes the product and the other app as absent as if they were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OTHERS:
            raise ModuleNotFoundError(f"{name} is not installed in this project", name=name)


sys.meta_path.insert(0, Absent())
redis_server = Redis().start()
os.environ["STANDALONE_REDIS"] = redis_server.url
os.environ["DJANGO_SETTINGS_MODULE"] = f"tests.standalone.{APP}_settings"
