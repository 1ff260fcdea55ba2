"""One row of the table."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from benchmarks.suite.contestant import Contestant


class Figure(NamedTuple):
    """What came out of one round."""

    value: float  # what the table shows
    pieces: float  # how many pieces of work that took
    tail: float | None = None  # where `value` is a median: the 99th percentile beside it
    size: int | None = None  # bytes of one answer's body, where that matters


class Measurement(ABC):
    """Something that every contestant is asked to do in each round."""

    key: str  # for the JSON file
    title: str  # for people
    part: str
    unit: str
    lower_is_better = False
    most_rounds: int | None = None  # none: as many as the run has
    turns = 1  # how often in a round: more where a figure takes a moment and differs from one time to the next,
    often: tuple[str, ...] = ()  # and by whom; by the others once

    @abstractmethod
    def once(self, one: Contestant, number: int) -> Figure:
        """The figure of one round. Raises NotOffered where it cannot, anything else where it fails."""

    def ready(self, one: Contestant) -> None:  # noqa: B027 - most need nothing
        """What comes before the first round and is not measured. Raises as `once`."""

    def clear(self) -> None:  # noqa: B027 - most leave nothing
        """What comes after each round."""

    def warm_up(self, one: Contestant) -> None:  # noqa: B027 - most need nothing
        """What comes before each round and is not measured: a server that others kept waiting is not a warm one."""
