"""Memory of processes over time, and whether it grew."""

import statistics
from dataclasses import dataclass, field

import psutil

MIB = 1 << 20
MOST_PERCENT, MOST_MIB = 5.0, 5.0  # growth of more than both is too much
TOGETHER = "together"


@dataclass(frozen=True)
class Growth:
    """How far the last third of the samples is above the middle third; the first third warms up."""

    name: str
    middle: float  # MiB, median
    last: float

    @property
    def mib(self) -> float:
        """By how much, MiB; below 0 where it shrank."""
        return self.last - self.middle

    @property
    def percent(self) -> float:
        """The same in percent of the middle third."""
        return 100 * self.mib / self.middle if self.middle else 0.0

    @property
    def too_much(self) -> bool:
        """Whether it is no longer noise: a small process may grow by a large part, a large one by some MiB."""
        return self.mib > MOST_MIB and self.percent > MOST_PERCENT


@dataclass
class Watched:
    """Processes by a name for people, and what each held at every sample."""

    processes: dict[str, psutil.Process]
    samples: dict[str, list[int]] = field(default_factory=dict)  # bytes

    def sample(self) -> None:
        """Look at all once. Raises RuntimeError where one has ended: its successor would hide what it held."""
        found = {}
        for name, process in self.processes.items():
            try:
                # USS: what would be free if this process alone ended. RSS counts shared pages in each.
                found[name] = process.memory_full_info().uss
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                raise RuntimeError(f"{name} (process {process.pid}) ended in the middle") from None
        for name, size in (found | {TOGETHER: sum(found.values())}).items():
            self.samples.setdefault(name, []).append(size)

    def last(self) -> dict[str, float]:
        """MiB of the newest sample."""
        return {name: sizes[-1] / MIB for name, sizes in self.samples.items()}

    def growth(self) -> list[Growth]:
        """Of each process and of all together; empty with fewer than three samples."""
        return [grown(name, sizes) for name, sizes in self.samples.items() if len(sizes) >= 3]


def grown(name: str, sizes: list[int]) -> Growth:
    """Medians of the middle and of the last third, so that one busy moment decides nothing."""
    third = len(sizes) // 3
    middle, last = sizes[-2 * third : -third], sizes[-third:]
    return Growth(name, statistics.median(middle) / MIB, statistics.median(last) / MIB)
