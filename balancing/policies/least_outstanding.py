"""Least outstanding requests, weighted: nginx `least_conn`, ELB `least_outstanding_requests`."""

from random import Random

from balancing.policies.base import Candidate, Policy


class LeastOutstanding(Policy):
    """The node with the fewest transfers for its weight; equals are drawn by lot.

    For files of very different sizes. The lot keeps processes that see the same numbers from all picking one node.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 - spreads load, guards nothing

    def choose(self, key: str, ready: list[Candidate]) -> Candidate:  # noqa: ARG002 - the key plays no part
        """One of the least loaded."""
        loads = [(one.in_flight + 1) / one.weight for one in ready]
        least = min(loads)
        return self._random.choice([one for one, load in zip(ready, loads, strict=True) if load == least])

    def rank(self, key: str, ready: list[Candidate]) -> list[Candidate]:  # noqa: ARG002 - see choose
        """By load, equals in random order."""
        lot = self._random.random
        return sorted(ready, key=lambda one: ((one.in_flight + 1) / one.weight, lot()))
