"""What every policy is given and gives. Pure: health was judged before, see `balancing.fleet.select`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may be picked."""

    id: str
    weight: float = 1.0
    """Effective weight, with the slow start's share in it; 0 is never picked."""
    zone: str = ""
    in_flight: int = 0
    """Transfers going on now, as far as the caller knows."""
    ewma: float = 0.0
    """Peak-sensitive average time of a transfer in seconds; 0 where there is no history."""
    max_conns: int = 0
    """Transfers at once that the node takes; 0 means no limit."""
    failing: float = 0.0
    """Share of recent transfers that failed, from 0 to 1."""
    zone_size: int = 0
    """How many nodes its zone has, healthy or not; 0 where that is unknown."""


class Policy(ABC):
    """A way to choose. Instances may be shared by threads; `key` is what is fetched, for policies that stick to it."""

    def order(self, key: str, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Every candidate that may take a transfer, the best first, so that the next can be tried when one fails."""
        ready = _ready(candidates)
        return self.rank(key, ready) if ready else []

    def pick(self, key: str, candidates: Sequence[Candidate]) -> Candidate | None:
        """The best candidate; None where none may take a transfer."""
        ready = _ready(candidates)
        return self.choose(key, ready) if ready else None

    @abstractmethod
    def rank(self, key: str, ready: list[Candidate]) -> list[Candidate]:
        """Order at least one candidate; all have weight and room."""

    def choose(self, key: str, ready: list[Candidate]) -> Candidate:
        """The first of `rank`, where a policy knows a quicker way to it."""
        return self.rank(key, ready)[0]


def _ready(candidates: Sequence[Candidate]) -> list[Candidate]:
    return [one for one in candidates if one.weight > 0 and (not one.max_conns or one.in_flight < one.max_conns)]
