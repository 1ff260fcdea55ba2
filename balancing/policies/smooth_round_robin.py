"""Smooth weighted round robin, as nginx has it: weights 5, 1, 1 give a a b a c a a, never a a a a a b c."""

from threading import Lock

from balancing.policies.base import Candidate, Policy

MOST_NODES = 4096


class SmoothRoundRobin(Policy):
    """Every node gains its weight, the richest is picked and pays the weight of all.

    Exact in each process for itself. Ignores load and key: for nodes that are alike and files that are alike.
    """

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}
        self._lock = Lock()

    def choose(self, key: str, ready: list[Candidate]) -> Candidate:  # noqa: ARG002 - the key plays no part
        """The richest node."""
        with self._lock:
            return self._turn(ready)

    def rank(self, key: str, ready: list[Candidate]) -> list[Candidate]:  # noqa: ARG002 - see choose
        """The richest node, then the others by what they have."""
        with self._lock:
            first = self._turn(ready)
            credit = dict(self._credit)
        rest = [one for one in ready if one is not first]
        return [first, *sorted(rest, key=lambda one: -credit[one.id])]

    def _turn(self, ready: list[Candidate]) -> Candidate:
        if len(self._credit) > MOST_NODES:  # nodes come and go for years
            self._credit.clear()
        credit, total, best, most = self._credit, 0.0, ready[0], float("-inf")
        for one in ready:
            weight = one.weight
            total += weight
            credit[one.id] = now = credit.get(one.id, 0.0) + weight
            if now > most:
                best, most = one, now
        credit[best.id] -= total
        return best
