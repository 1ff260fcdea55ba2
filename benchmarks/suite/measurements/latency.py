# ruff: noqa: D102 - the base class says what each method does
"""How long one answer takes when nobody else asks: at full load the 99th percentile is the queue's."""

from dataclasses import dataclass

from benchmarks.suite.contestant import Contestant, NotOffered
from benchmarks.suite.corpus import SMALL, Corpus
from benchmarks.suite.measurements.base import Figure
from benchmarks.suite.measurements.pages import HTML, JSON, PageRow
from benchmarks.suite.wrk import latency

ASKED = ("ours", "ours+nginx", "control", "nginx")  # peers would take more time than their figures are worth
HUGEST = "forty-three-thousand"
TURNS = 3  # in a moment that is noisy one 99th percentile is twice the next
WARM = 8  # connections before the first round, so that both workers of a server are likely to have the page


@dataclass(eq=False)
class LatencyRow(PageRow):
    """The same page over one connection: median, and 99th percentile as the tail."""

    part = "latency"
    unit = "ms"
    lower_is_better = True
    most_rounds = 1  # with its turns it says enough
    turns = TURNS
    often = ASKED

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key = f"latency {self.title}"

    def ready(self, one: Contestant) -> None:
        if one.name not in ASKED:
            raise NotOffered("not run")
        for _ in range(WARM):
            super().ready(one)

    def once(self, one: Contestant, number: int) -> Figure:  # noqa: ARG002 - every round is alike
        url, headers, size = self._ready[one.name]
        found = latency(url, headers, seconds=self.seconds)
        return Figure(found.p50, found.requests, found.p99, size)


def rows(corpus: Corpus, seconds: float) -> list[LatencyRow]:
    """The smallest page and, where the corpus has it, the largest."""
    pages = [SMALL, *(name for name in corpus.huge if name == HUGEST)]
    return [
        LatencyRow(page, form, encoding, seconds=seconds)
        for page in pages for form in (HTML, JSON) for encoding in ("identity", "gzip")
    ]  # fmt: skip
