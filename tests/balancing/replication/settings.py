"""Settings of the workers: those of the small project, with a source that all processes see."""

import json
import os

from tests.standalone.balancing_settings import *  # noqa: F403 - a variant of them

BALANCING = {
    "SOURCE": "tests.balancing.replication.folder.source",
    "KEYS": {"k1": "11" * 32},
    **json.loads(os.environ.get("REPLICATION_SETTINGS", "{}")),
}
