"""Figures of all rounds, and what is computed from them."""

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Cell:
    """What one contestant did in one row, a figure for each round, or why there are none."""

    figures: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # seconds of the server's processor time for a piece of work
    tails: list[float] = field(default_factory=list)  # 99th percentiles, where a figure is a median
    size: int = 0  # bytes of one answer's body; 0: not noted
    reason: str = ""
    failed: bool = False


@dataclass
class Row:
    """One measurement of all contestants."""

    key: str
    title: str
    part: str
    unit: str
    lower_is_better: bool
    cells: dict[str, Cell] = field(default_factory=dict)

    def median(self, name: str) -> float | None:
        """The middle figure; None where there is none."""
        cell = self.cells.get(name)
        return statistics.median(cell.figures) if cell and cell.figures else None

    def cpu(self, name: str) -> float | None:
        """The middle processor time of a piece of work, seconds."""
        cell = self.cells.get(name)
        return statistics.median(cell.cpu) if cell and cell.cpu else None

    def tail(self, name: str) -> float | None:
        """The middle 99th percentile; None where there is none."""
        cell = self.cells.get(name)
        return statistics.median(cell.tails) if cell and cell.tails else None

    def ratio(self, name: str, base: str) -> float | None:
        """The median over rounds of the ratio within a round, so that a noisy moment troubles both sides."""
        mine, other = self.cells.get(name), self.cells.get(base)
        if not mine or not other:
            return None
        ratios = [a / b for a, b in zip(mine.figures, other.figures, strict=False) if b]
        return statistics.median(ratios) if ratios else None


@dataclass
class Results:
    """A whole run."""

    command: str
    date: str
    rounds: int
    contestants: dict[str, str] = field(default_factory=dict)  # name -> sentence
    rows: list[Row] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # contestants that did not start
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)  # bytes, before and after
    steps: list[tuple[str, float]] = field(default_factory=list)  # of one upload: what, share of the time

    def as_json(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self)


@dataclass(frozen=True)
class Target:
    """A promise: a ratio of two contestants, or a figure of one, in one row."""

    title: str
    key: str
    name: str
    base: str  # empty: the figure itself
    value: float
    at_most: bool = False

    def figure(self, results: Results) -> float | None:
        """What came out; None where it was not measured."""
        row = self._row(results)
        if row is None:
            return None
        return row.ratio(self.name, self.base) if self.base else row.median(self.name)

    def by_cpu(self, results: Results) -> float | None:
        """The same ratio by processor time, which other work on the machine troubles less."""
        row = self._row(results)
        mine, other = (row.cpu(self.name), row.cpu(self.base)) if row else (None, None)
        return other / mine if mine and other and row and row.part == "read" else None

    def _row(self, results: Results) -> Row | None:
        ends = self.key.endswith("*")
        fits = (row for row in results.rows if (row.key.startswith(self.key[:-1]) if ends else row.key == self.key))
        return next(fits, None)

    def met(self, figure: float) -> bool:
        """Whether it holds."""
        return figure <= self.value if self.at_most else figure >= self.value

    def left_out(self, results: Results) -> bool:  # noqa: ARG002 - as of every promise
        """Whether it is to be said that it was not measured: runs of some parts are silent about the others."""
        return False


@dataclass(frozen=True)
class TailTarget:
    """A promise: the slowest answers of the largest page are as rare as those of the smallest, bytes apart."""

    form: str

    @property
    def title(self) -> str:
        """For people."""
        return f"43,000 files, {self.form}: p99 at most 1 of (3 x p99 of one file + p99 of nginx for the same bytes)"

    def figure(self, results: Results) -> float | None:
        """The 99th percentile as a part of what is allowed; None where one of the three was not measured.

        The transfer is what nginx needs for the same bytes, in its slowest answers too. nginx has a page of its own,
        with less about each file: its figure is stretched to as many bytes as ours has.
        """
        rows = {row.key: row for row in results.rows}
        large, small = (rows.get(f"latency {page}, {self.form}") for page in ("43,000 files", "one file"))
        if not large or not small:
            return None
        mine, least, transfer = large.tail("ours"), small.tail("ours"), large.tail("nginx")
        if not mine or not least or not transfer:
            return None
        longer = large.cells["ours"].size / (large.cells["nginx"].size or 1)
        return mine / (3 * least + transfer * longer)

    def by_cpu(self, results: Results) -> None:
        """Processor time has no percentiles."""

    def met(self, figure: float) -> bool:
        """Whether it holds."""
        return figure <= 1

    def left_out(self, results: Results) -> bool:
        """Whether latencies were measured and not those of the large page, which is to be said."""
        return any(row.part == "latency" for row in results.rows)


def _pages() -> list[Target]:
    found = []
    for page in ("one file", "500 files"):
        for form in ("HTML", "JSON"):
            for how in ("identity", "gzip", "304"):
                title = f"{page}, {form}, {how}"
                found.append(Target(f"{title}: at least 0.85 of the control", f"read {title}", "ours", "control", 0.85))
    return found


TARGETS: list[Target | TailTarget] = [
    *_pages(),
    *(TailTarget(f"{form}, {how}") for form in ("HTML", "JSON") for how in ("identity", "gzip")),
    Target("one file: at least 5 times devpi", "read one file, HTML, identity", "ours", "devpi", 5),
    Target("one file: at least 60 times pypiserver", "read one file, HTML, identity", "ours", "pypiserver", 60),
    Target("500 files: at least 50 times devpi", "read 500 files, HTML, identity", "ours", "devpi", 50),
    Target("500 files: at least 0.15 of pypiron", "read 500 files, HTML, identity", "ours", "pypiron", 0.15),
    Target("100 MB by accel: at least 0.9 of nginx", "download 100 MB wheel", "ours+nginx", "nginx", 0.9),
    Target("1 MB by accel: at least 0.5 of nginx", "download 1 MB wheel", "ours+nginx", "nginx", 0.5),
    Target("100 MB from gunicorn: at least 0.5 of nginx", "download 100 MB wheel", "ours", "nginx", 0.5),
    Target("small uploads on SQLite: at least 190/s", "upload *", "ours", "", 190),
    Target("small uploads on PostgreSQL: at least 190/s", "upload *", "ours+postgresql", "", 190),
    # The two figures above are what pypiserver did where they were promised, and depend on the machine.
    Target("small uploads on SQLite: at least pypiserver's", "upload *", "ours", "pypiserver", 1),
    Target("small uploads on PostgreSQL: at least pypiserver's", "upload *", "ours+postgresql", "pypiserver", 1),
    *(
        Target(f"uv install, {how}, {name}: at most 1.05 of nginx", f"install uv pip install jupyterlab, {how}", name,
               "nginx", 1.05, at_most=True)
        for how in ("cold", "warm cache") for name in ("ours", "ours+nginx")
    ),
]  # fmt: skip
