"""A small project that has `balancing` and nothing else of ours."""

from tests.standalone.base_settings import *  # noqa: F403 - settings are made of settings
from tests.standalone.base_settings import INSTALLED_APPS

ROOT_URLCONF = "tests.balancing.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "balancing"]
BALANCING = {
    "SOURCE": "tests.balancing.source.source",
    "KEYS": {"k1": "11" * 32},
}
