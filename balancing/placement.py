"""Which nodes get the copies of a file. Pure: the same answer on every host, without anything remembered."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from balancing.hashing import costs


@dataclass(frozen=True, slots=True)
class Site:
    """A node that may hold copies."""

    id: str
    weight: float = 1.0
    zone: str = ""
    capacity: int | None = None
    """Bytes that it may hold; None where only its disk limits it."""
    used: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the copies belong, in order of preference, and how many found no place."""

    nodes: tuple[str, ...]
    missing: int = 0


def place(
    digest: str, size: int, copies: int, sites: Iterable[Site], held: AbstractSet[str] = frozenset()
) -> Placement:
    """The nodes that should hold `copies` copies of a file of `size` bytes; `held` already do.

    The order is weighted rendezvous of the digest, so a node that joins or leaves moves only its own share of the
    files. Each next copy goes to the first node among the zones with the fewest copies. A node without room is passed
    over, unless it holds the file already.
    """
    fitting = [one for one in sites if one.weight > 0 and (one.id in held or _has_room(one, size))]
    cost = costs(digest, tuple(one.id for one in fitting), [one.weight for one in fitting])
    order = [fitting[index] for index in sorted(range(len(fitting)), key=lambda i: (cost[i], fitting[i].id))]
    chosen: list[str] = []
    in_zone = {one.zone: 0 for one in order}
    while order and len(chosen) < copies:
        best = min(order, key=lambda one: in_zone[one.zone])  # min keeps the first of equals
        order.remove(best)
        chosen.append(best.id)
        in_zone[best.zone] += 1
    return Placement(tuple(chosen), max(0, copies - len(chosen)))


def _has_room(site: Site, size: int) -> bool:
    return site.capacity is None or site.used + size <= site.capacity
