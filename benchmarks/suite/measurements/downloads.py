# ruff: noqa: D102 - the base class says what each method does
"""Downloads over kept connections."""

from dataclasses import dataclass

from benchmarks.suite.contestant import Contestant
from benchmarks.suite.measurements.base import Figure, Measurement
from benchmarks.suite.wrk import Load, authorization, load

TITLES = {"16k": "16 KB", "1m": "1 MB", "100m": "100 MB"}


@dataclass(eq=False)
class DownloadRow(Measurement):
    """One file, asked for again and again."""

    size: str
    seconds: float = 2.0

    part = "download"
    unit = "MB/s"
    turns = 9
    often = ("ours", "ours+nginx", "nginx")  # these are compared with each other, nearly as fast as memory

    def __post_init__(self) -> None:
        self.title = f"{TITLES[self.size]} wheel"
        self.key = f"download {self.title}"
        self._urls: dict[str, str] = {}

    def ready(self, one: Contestant) -> None:
        self._urls[one.name] = one.file_url(f"file-{self.size}")

    def warm_up(self, one: Contestant) -> None:
        self._load(one, 1)

    def once(self, one: Contestant, number: int) -> Figure:  # noqa: ARG002 - every round is alike
        found = self._load(one, self.seconds)
        return Figure(found.megabytes, found.megabytes * self.seconds)

    def _load(self, one: Contestant, seconds: float) -> Load:
        connections = 4 if self.size == "100m" else 16
        headers = {"Accept-Encoding": "identity", **authorization(one.auth)}
        return load(self._urls[one.name], headers, seconds=seconds, connections=connections)


def rows(*, quick: bool) -> list[DownloadRow]:
    """The sizes; the smallest is left out where it has to be quick."""
    return [DownloadRow(size) for size in TITLES if not quick or size != "16k"]
