"""One row of the table."""

from abc import ABC, abstractmethod

from benchmarks.suite.contestant import Contestant

Figure = tuple[float, float]  # what the table shows, and how many pieces of work that took


class Measurement(ABC):
    """Something that every contestant is asked to do in each round."""

    key: str  # for the JSON file
    title: str  # for people
    part: str
    unit: str
    lower_is_better = False

    @abstractmethod
    def once(self, one: Contestant, number: int) -> Figure:
        """The figure of one round. Raises NotOffered where it cannot, anything else where it fails."""

    def ready(self, one: Contestant) -> None:  # noqa: B027 - most need nothing
        """What comes before the first round and is not measured. Raises as `once`."""
