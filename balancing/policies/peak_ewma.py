"""Peak EWMA with the power of two choices, as in Finagle; it stands for nginx `least_time` and `random two`."""

from math import exp
from random import Random

from balancing.policies.base import Candidate, Policy
from balancing.policies.chance import draw

DECAY = 10.0
PENALTY = 1e6


def updated(ewma: float, taken: float, elapsed: float, decay: float = DECAY) -> float:
    """The average after a transfer that took `taken` seconds, `elapsed` seconds after the one before.

    It jumps to a slower value at once and forgets it gradually: a node that stalls is avoided from its first slow
    answer on. Callers leave failed transfers out, or a node that fails quickly would look like the best.
    """
    if taken > ewma:
        return taken
    kept = exp(-max(0.0, elapsed) / decay)
    return ewma * kept + taken * (1 - kept)


def load(one: Candidate) -> float:
    """Expected time of one more transfer for the node's weight; a busy node without history is tried last."""
    if one.ewma <= 0 and one.in_flight:
        return PENALTY * one.in_flight / one.weight
    return one.ewma * (one.in_flight + 1) / one.weight


class PeakEwma(Policy):
    """Draws two nodes and picks the one with the lower load. For nodes of different or changing speed.

    Two draws instead of the best of all, because the numbers are shared and a little old: every process would send its
    traffic to the same best node until the next snapshot.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 - spreads load, guards nothing

    def choose(self, key: str, ready: list[Candidate]) -> Candidate:  # noqa: ARG002 - the key plays no part
        """The better of two different nodes."""
        if len(ready) == 1:
            return ready[0]
        weights = [one.weight for one in ready]
        first = draw(weights, self._random)
        weights[first] = 0.0
        second = draw(weights, self._random)
        return min(ready[first], ready[second], key=load)

    def rank(self, key: str, ready: list[Candidate]) -> list[Candidate]:
        """The choice, then the others by load."""
        first = self.choose(key, ready)
        return [first, *sorted((one for one in ready if one is not first), key=load)]
