"""Weighted random with anomaly mitigation, as ELB has it under the name Automatic Target Weights."""

from collections.abc import Sequence
from random import Random
from statistics import median

from balancing.policies.base import Candidate, Policy
from balancing.policies.chance import draw, shuffled

FEWEST = 3
NOTABLE = 0.1
TIMES = 2.0
LEAST = 0.1


def mitigated(ready: Sequence[Candidate]) -> list[float]:
    """The candidates' weights, lowered where one fails far more often than its peers.

    A node is an anomaly when at least a tenth of its transfers fail and that is more than twice the median of all, so
    never more than half of them are; a fault that all share changes nothing. It keeps the share that succeeds, squared,
    and at least a tenth, by which its recovery is noticed. Needs three nodes: of two, neither is the odd one.
    """
    weights = [one.weight for one in ready]
    if len(ready) < FEWEST or not any(one.failing >= NOTABLE for one in ready):
        return weights
    usual = median([one.failing for one in ready])
    for index, one in enumerate(ready):
        if one.failing >= NOTABLE and one.failing > TIMES * usual:
            weights[index] *= max(LEAST, (1 - min(1.0, one.failing)) ** 2)
    return weights


class WeightedRandom(Policy):
    """Each node with a chance in proportion to its weight. Needs no shared counts: for many small processes."""

    def __init__(self, random: Random | None = None, *, mitigate: bool = True) -> None:
        self._random = random or Random()  # noqa: S311 - spreads load, guards nothing
        self._mitigate = mitigate

    def choose(self, key: str, ready: list[Candidate]) -> Candidate:  # noqa: ARG002 - the key plays no part
        """One weighted draw."""
        return ready[draw(self._weights(ready), self._random)]

    def rank(self, key: str, ready: list[Candidate]) -> list[Candidate]:  # noqa: ARG002 - see choose
        """Repeated draws without putting back."""
        return [ready[index] for index in shuffled(self._weights(ready), self._random)]

    def _weights(self, ready: list[Candidate]) -> list[float]:
        return mitigated(ready) if self._mitigate else [one.weight for one in ready]
