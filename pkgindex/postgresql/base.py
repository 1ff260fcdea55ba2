"""`ENGINE = "pkgindex.postgresql"`: a kept connection is asked whether it lives only where that is in doubt.

With `CONN_HEALTH_CHECKS` Django sends `SELECT 1` before the first statement of every request. A server that ends or
restarts closes its connections, which shows here at once: their sockets become readable. So a connection that was
found well within seconds and whose socket is silent needs no question.
"""

import select
import time
from typing import Any

from django.db.backends.postgresql import base

WELL_SECONDS = 5.0  # how long an answer is trusted while the socket is silent


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but for `is_usable`."""

    _well_until = 0.0  # on the monotonic clock

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect. Raises django.db.OperationalError."""
        new = super().get_new_connection(conn_params)
        self._well_until = time.monotonic() + WELL_SECONDS
        return new

    def is_usable(self) -> bool:
        """Whether the connection lives, as far as that can be known beforehand."""
        if self.connection is None:
            return False
        now = time.monotonic()
        if now < self._well_until and _is_silent(self.connection):
            return True
        well = bool(super().is_usable())
        self._well_until = now + WELL_SECONDS if well else 0.0
        return well


def _is_silent(connection: Any) -> bool:
    """Whether nothing has come that nobody asked for: neither words of the server nor the end of the connection."""
    try:
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN)
        return not connection.closed and not poller.poll(0)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, Django asks and finds out
        return False
