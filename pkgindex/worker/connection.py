"""A connection as the loop of our worker keeps it."""

import time
from typing import Any

from gunicorn.workers.gthread import TConn

from pkgindex.worker.outgoing import Outgoing


class Connection(TConn):
    """One of gunicorn's, and what the loop knows of it."""

    def __init__(self, keepalive: float, *words: Any) -> None:
        super().__init__(*words)
        self.keepalive = keepalive  # seconds; asking gunicorn's configuration costs much more
        self.early = b""  # what the loop has read of a request that it does not answer, or not yet
        self.is_ready = False  # a request is to be answered in this turn
        self.decided: Any = None  # what the application has decided about that
        self.out: Outgoing | None = None
        self.active = time.monotonic()  # when something last moved
        self.fresh = True  # nothing was asked over it yet

    def set_timeout(self) -> None:
        """Note when it will have been silent for too long."""
        self.timeout = time.monotonic() + self.keepalive
