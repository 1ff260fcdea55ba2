"""The tests' settings with a limiter that waits for a slow store instead of letting uploads through."""

from tests.settings import *  # noqa: F403
from tests.settings import THROTTLING

THROTTLING = {**THROTTLING, "TIMEOUT": 5.0}
