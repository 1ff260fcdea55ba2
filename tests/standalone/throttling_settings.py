"""A small project that has `throttling` and nothing else of ours."""

from tests.standalone.base_settings import *  # noqa: F403 - settings are made of settings
from tests.standalone.base_settings import INSTALLED_APPS

ROOT_URLCONF = "tests.throttling.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "throttling"]
