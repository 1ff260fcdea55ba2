"""Looking at something that may never answer, without waiting for it longer than one wants. Imports no Django."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

log = logging.getLogger(__name__)


class Down(Exception):
    """Raised by a check that found its part unusable; the sentence is shown to anybody, so it holds no secret."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one look found, after how many milliseconds."""

    is_up: bool
    sentence: str
    latency_ms: float


class WithoutReadiness(logging.Filter):
    """Leaves out that `/readyz` answered 503: asked every few seconds, it would bury the log line that says why."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for Django's record of that answer."""
        return getattr(getattr(record, "request", None), "path", None) != "/readyz"


class Probe:
    """One part of the service, looked at by at most one thread at a time however many ask.

    `check` returns a sentence or raises; what it found is believed for `keep_seconds`, so that asking often, which
    anybody may, costs little. A part that is not `needed` makes the service worse when it is down, and not unready.
    """

    def __init__(self, name: str, check: Callable[[], str], keep_seconds: float, *, needed: bool = True) -> None:
        self.name, self.needed = name, needed
        self._check, self._keep_seconds = check, keep_seconds
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._running_since: float | None = None
        self._report: Report | None = None
        self._reported_at = 0.0

    def begin(self) -> None:
        """Look, unless a look is under way or the last one is recent enough."""
        with self._lock:
            now = time.monotonic()
            recent = self._report is not None and now - self._reported_at < self._keep_seconds
            if recent or self._running_since is not None:
                return
            self._running_since = now
            self._done.clear()
        # A thread that hangs must not keep the process from ending.
        threading.Thread(target=self._look, name=f"probe-{self.name}", daemon=True).start()

    def result(self, deadline: float) -> Report:
        """What the look that was begun found, or that it did not end by `deadline` (of time.monotonic)."""
        finished = self._done.wait(max(0.0, deadline - time.monotonic()))
        with self._lock:
            if finished and self._report is not None:
                return self._report
            waited = time.monotonic() - (self._running_since or time.monotonic())
            return Report(is_up=False, sentence="It does not answer in time.", latency_ms=_milliseconds(waited))

    def forget(self) -> None:
        """Look again the next time, however recent the last look."""
        with self._lock:
            self._reported_at = float("-inf")

    def _look(self) -> None:
        started = time.monotonic()
        try:
            is_up, sentence = True, self._check()
        except Down as reason:
            is_up, sentence = False, str(reason)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the part is not usable
            # The text of a driver's error can hold addresses and names: it is for the log alone.
            log.warning("The probe of %s failed: %s", self.name, error)
            is_up, sentence = False, f"It cannot be used ({type(error).__name__}); the log says more."
        with self._lock:
            self._report = Report(is_up, sentence, _milliseconds(time.monotonic() - started))
            self._reported_at = time.monotonic()
            self._running_since = None
            self._done.set()


def look_at(probes: Iterable[Probe], seconds: float) -> dict[str, Report]:
    """Begin them all side by side and collect what they found within `seconds`."""
    chosen = list(probes)
    deadline = time.monotonic() + seconds
    for probe in chosen:
        probe.begin()
    return {probe.name: probe.result(deadline) for probe in chosen}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
