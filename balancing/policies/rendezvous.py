"""Weighted rendezvous hashing with bounded load: the default."""

from math import log

from balancing.hashing import SCALE, costs, words
from balancing.policies.base import Candidate, Policy

BOUND = 1.25


class Rendezvous(Policy):
    """A file keeps to one node, whose caches stay warm, until that node has more than its bounded share.

    No node gets above `bound` times the average load for its weight (Mirrokni, Thorup and Zadimoghaddam, 2016): the
    file that everybody wants flows over to its next nodes. When a node leaves only its own files move; when it returns
    with a growing weight, they come back gradually.
    """

    def __init__(self, bound: float = BOUND) -> None:
        if bound <= 1:
            raise ValueError("bound must be above 1: no node can stay at or below the average of all.")
        self.bound = bound

    def choose(self, key: str, ready: list[Candidate]) -> Candidate:
        """The first node in the key's order that is below its share."""
        limit = self._limit(ready)
        best, least = ready[0], float("inf")
        for one, word in zip(ready, words(key, tuple([one.id for one in ready])), strict=True):
            weight = one.weight
            # The cost of hashing.costs, inline: this loop is the hot path.
            cost = -log((word + 0.5) * SCALE) / weight
            if cost < least and one.in_flight < limit * weight:
                best, least = one, cost
        return best

    def rank(self, key: str, ready: list[Candidate]) -> list[Candidate]:
        """The key's order, nodes at their bound behind all others."""
        limit = self._limit(ready)
        cost = costs(key, tuple(one.id for one in ready), [one.weight for one in ready])
        order = sorted(range(len(ready)), key=lambda i: (ready[i].in_flight >= limit * ready[i].weight, cost[i]))
        return [ready[index] for index in order]

    def _limit(self, ready: list[Candidate]) -> float:
        """Transfers per unit of weight. A count below limit x weight is one below its ceiling, so one more fits."""
        going_on = sum([one.in_flight for one in ready])
        return self.bound * (going_on + 1) / sum([one.weight for one in ready])
