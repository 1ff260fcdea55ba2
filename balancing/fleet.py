"""What the health of all nodes together means: who is offered, at which weight, and who may be ejected. Pure.

Administrative states, the backup tier, the panic threshold and the zones that an operator has moved traffic away from
are all decided here, so that a policy only ever sees nodes that may be picked.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from balancing.states import NodeState, Rules, is_ejected, is_healthy, share


class Admin(StrEnum):
    """What the operator wants of a node; it stands above everything that probes find."""

    ACTIVE = "active"
    DRAINING = "draining"  # finishes what it has and gets nothing new
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the fleet: what the operator set, and its health."""

    id: str
    state: NodeState
    weight: float = 1.0
    zone: str = ""
    admin: Admin = Admin.ACTIVE
    backup: bool = False
    """Offered only when the other nodes are too few."""
    draining_since: float | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The nodes that may be picked now, with their effective weights."""

    weights: dict[str, float]
    panic: bool = False
    """True where health is ignored because too few nodes are healthy."""


def select(members: Iterable[Member], now: float, rules: Rules, away: AbstractSet[str] = frozenset()) -> Selection:
    """Who may be picked at `now`.

    The first tier serves while it is healthy enough. Otherwise the healthy backups join it, and where both together
    are too few, every active node is offered at its whole weight: many sick nodes are more likely one sick judge, and
    traffic squeezed onto the last healthy one would kill it too. Zones in `away` are left out as long as an active
    node remains elsewhere.
    """
    active = [one for one in members if one.admin is Admin.ACTIVE and one.weight > 0]
    active = [one for one in active if one.zone not in away] or active
    first = [one for one in active if not one.backup]
    wanted = max(rules.least_healthy, rules.panic * len(first or active))
    healthy = _healthy(first, now)
    if not healthy or len(healthy) < wanted:
        healthy = _healthy(active, now)
    # A threshold of 0 means that health always counts.
    if rules.panic > 0 and len(healthy) < wanted:
        return Selection({one.id: one.weight for one in active}, panic=bool(active))
    return Selection({one.id: one.weight * share(one.state, now, rules) for one in healthy})


def _healthy(members: Sequence[Member], now: float) -> list[Member]:
    return [one for one in members if is_healthy(one.state, now)]


def may_eject(members: Iterable[Member], node: str, now: float, rules: Rules) -> bool:
    """True where ejecting `node` now keeps to the largest ejected share and to the least number of healthy nodes.

    At least one node may always be ejected, as in Envoy, provided that enough others stay healthy. A fleet of one is
    therefore never ejected, as in nginx.
    """
    active = [one for one in members if one.admin is Admin.ACTIVE]
    already = sum(is_ejected(one.state, now) for one in active if one.id != node)
    if already + 1 > max(1, int(rules.most_ejected * len(active))):
        return False
    rest = sum(is_healthy(one.state, now) for one in active if one.id != node)
    return rest >= max(1, rules.least_healthy)


def is_drained(member: Member, in_flight: int, now: float, rules: Rules) -> bool:
    """True where a draining node has nothing left to finish, or its time to finish is over."""
    if member.admin is not Admin.DRAINING:
        return False
    since = member.draining_since
    return in_flight <= 0 or (since is not None and now - since >= rules.drain_limit)
