"""Zones in an order of preference, with Envoy's spill-over: a zone that sickens gives traffic to the next in time."""

from collections.abc import Sequence

from balancing.hashing import fraction
from balancing.policies.base import Candidate, Policy
from balancing.policies.rendezvous import Rendezvous

FACTOR = 1.4


def portions(healthy: Sequence[int], total: Sequence[int], factor: float = FACTOR) -> list[float]:
    """The share of traffic of each level, the preferred first; they add up to 1 where any node is healthy.

    A level's health is min(1, factor x healthy / total); each takes what those before it left, up to its health. With
    1.4 a level keeps all its traffic until less than 71.4 % of its nodes are healthy. Where the healths of all levels
    add up to less than 1 they share the whole in proportion.
    """
    healths = [min(1.0, factor * h / t) if t > 0 else 0.0 for h, t in zip(healthy, total, strict=True)]
    whole = min(1.0, sum(healths))
    left, taken = 1.0, []
    for health in healths:
        part = min(left, health / whole) if whole else 0.0
        taken.append(part)
        left -= part
    return taken


class ZoneAware(Policy):
    """Chooses a level of zones, then a node in it by another policy. For traffic that is slow or dear between zones.

    `zones` names the levels, the nearest first; zones that it does not name are one last level. The level follows from
    the key, so a file keeps its zone as long as the healths stay.
    """

    def __init__(self, zones: Sequence[str] = (), inner: Policy | None = None, factor: float = FACTOR) -> None:
        self._rank = {zone: position for position, zone in enumerate(dict.fromkeys(zones))}
        self._inner = inner or Rendezvous()
        self._factor = factor

    def choose(self, key: str, ready: list[Candidate]) -> Candidate:
        """The inner policy's choice in the key's level."""
        levels = self._levels(ready)
        return self._inner.choose(key, levels[self._level(key, levels)])

    def rank(self, key: str, ready: list[Candidate]) -> list[Candidate]:
        """The key's level, then the others as preferred, each in the inner policy's order."""
        levels = self._levels(ready)
        first = levels.pop(self._level(key, levels))
        return [one for level in (first, *levels) if level for one in self._inner.rank(key, level)]

    def _levels(self, ready: list[Candidate]) -> list[list[Candidate]]:
        levels: list[list[Candidate]] = [[] for _ in range(len(self._rank) + 1)]
        last = len(self._rank)
        for one in ready:
            levels[self._rank.get(one.zone, last)].append(one)
        return levels

    def _level(self, key: str, levels: list[list[Candidate]]) -> int:
        counts = [len(level) for level in levels]
        parts = portions(counts, [_size(level) for level in levels], self._factor)
        point = fraction(key, "zone")
        for position, part in enumerate(parts):
            point -= part
            if point < 0 and counts[position]:
                return position
        # Rounding may leave a grain behind the last portion.
        return max(position for position, count in enumerate(counts) if count)


def _size(level: list[Candidate]) -> int:
    """How many nodes the zones of a level have: what they say, and at least those that are here."""
    sizes = {one.zone: one.zone_size for one in level}
    return max(sum(sizes.values()), len(level))
