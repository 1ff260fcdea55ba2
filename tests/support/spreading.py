"""Our worker, made to share connections by counts from the first one on.

Else one worker would answer everything that a test asks, and a test of what two processes do together show nothing.
"""

from pkgindex.worker import loop


class Worker(loop.Worker):
    """Always at its limit, and so are its fellows."""

    limit = -1.0
