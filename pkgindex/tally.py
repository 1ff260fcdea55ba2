"""Answers on their way into the metrics.

There each takes three additions to files that workers share, a tenth of what a hit costs. Whoever answers in a loop
adds here, and puts the sums into the metrics once a second.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from threading import Lock

from pkgindex import metrics
from pkgindex.shortway import Reply


class Tally:
    """What this process has answered since it was last put into the metrics. Any thread may call."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._forget()

    def _forget(self) -> None:
        self._times: Counter[tuple[str, int, int]] = Counter()
        self._seconds: defaultdict[tuple[str, int, int], float] = defaultdict(float)
        self._passed: Counter[tuple[str, bool]] = Counter()
        self._returned: Counter[str] = Counter()
        self._charged = 0

    def add(self, replies: Iterable[Reply | None], seconds: float) -> None:
        """Count answers that began after so long; limits let all of them through at once."""
        place = metrics.bucket_of(seconds)
        with self._lock:
            for one in replies:
                if one is None:
                    continue
                same = one.scope, one.status, place
                self._times[same] += 1
                self._seconds[same] += seconds
                for decision in one.decisions:
                    self._passed[decision.scope, decision.answer.degraded] += 1
                if one.charged:
                    self._charged += one.charged
                elif not one.decisions and one.status in metrics.RETURNED:
                    self._returned[one.scope] += 1

    def flush(self) -> None:
        """Put all of it into the metrics."""
        with self._lock:
            times, seconds, passed, returned = self._times, self._seconds, self._passed, self._returned
            charged = self._charged
            self._forget()
        for (scope, status, place), count in times.items():
            metrics.note_answers(scope, status, place, count, seconds[scope, status, place])
        for (scope, degraded), count in passed.items():
            metrics.note_passed(scope, count, degraded=degraded)
        for scope, count in returned.items():
            metrics.note_returned(scope, count)
        metrics.download_bytes.inc(charged)
