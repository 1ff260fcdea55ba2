"""The nodes and their health as one value that every process shares, and its JSON. Pure but for the clock.

The JSON of a picture is `{"number":n,"form":f,"at":t,"nodes":[…]}`. The number stands first, because the script that
keeps an older picture from replacing a newer one finds it there.
"""

import json
import math
import time
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from balancing.fleet import Admin, Member, Selection, select
from balancing.placement import Site
from balancing.states import NodeState, Rules

FORM = 1  # raised with every change of what the JSON means: other versions then read the database
FRESH = 0.1  # seconds for which who may be picked is remembered
_FRESH_STATE = NodeState()


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as the picture shows it. Times are seconds since 1970, sizes bytes."""

    name: str
    kind: str = "server"
    url: str = ""
    public_url: str = ""
    bucket: str = ""
    region: str = ""
    prefix: str = ""
    zone: str = ""
    weight: float = 1.0
    max_conns: int = 0
    capacity: int | None = None
    backup: bool = False
    admin: Admin = Admin.ACTIVE
    draining_since: float | None = None
    down_since: float | None = None
    state: NodeState = _FRESH_STATE
    in_flight: int = 0
    """Transfers, as the node itself said when it was last probed."""
    latency: float = 0.0
    """Peak-sensitive average of its probes in seconds."""
    failing: float = 0.0
    """Evidence against it as a share of what ejects a node, when the picture was made."""
    free: int | None = None
    used: int = 0

    @property
    def member(self) -> Member:
        """What the rules of the fleet look at."""
        return Member(
            self.name, self.state, self.weight, self.zone, self.admin, self.backup, draining_since=self.draining_since
        )


@dataclass(frozen=True)
class Picture:
    """All nodes at one moment. `number` orders pictures: a higher one knows of every change that a lower one knows."""

    nodes: tuple[NodeView, ...] = ()
    at: float = 0.0
    number: int = 0
    rules: Rules = field(default_factory=Rules, repr=False)
    away: frozenset[str] = frozenset()
    """Zones that traffic was moved away from."""
    lost_after: float = 3_600.0
    outdated: bool = False
    """True where neither the store nor the database answered: what was last known stands."""
    _memo: dict[str, tuple[float, Selection]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def by_name(self) -> dict[str, NodeView]:
        """The nodes by name; not to be changed."""
        return {one.name: one for one in self.nodes}

    def member(self, name: str) -> NodeView | None:
        """The node of this name."""
        return self.by_name.get(name)

    def selection(self, now: float) -> Selection:
        """Who may be picked at `now`, and with which weight; remembered for a tenth of a second."""
        known = self._memo.get("last")
        if known is not None and abs(now - known[0]) < FRESH:
            return known[1]
        made = select([one.member for one in self.nodes], now, self.rules, self.away)
        self._memo["last"] = (now, made)
        return made

    def sites(self, now: float | None = None) -> list[Site]:
        """The nodes that count as places of copies: active ones, unless they were down for longer than `lost_after`."""
        end = (time.time() if now is None else now) - self.lost_after
        active = [one for one in self.nodes if one.admin is Admin.ACTIVE]
        there = [one for one in active if one.state.up or one.down_since is None or one.down_since >= end]
        return [Site(one.name, one.weight, one.zone, one.capacity, one.used) for one in there]


def plausible(state: NodeState, now: float, rules: Rules) -> NodeState:
    """The state without times that cannot be: a clock that jumped back must not eject or silence a node for hours."""
    changes: dict[str, Any] = {}
    if state.ejected_until is not None and state.ejected_until > now + rules.most_ejection:
        changes["ejected_until"] = now + rules.most_ejection
    if state.returned_at is not None and state.returned_at > now:
        changes["returned_at"] = now
    if state.scored_at > now:
        changes["scored_at"] = now
    if state.next_probe > now + 2 * max(rules.interval, rules.fast_interval):
        changes["next_probe"] = now
    return replace(state, **changes) if changes else state


def state_to_json(state: NodeState) -> dict[str, Any]:
    """What differs from a new node's state."""
    return {key: value for key, value in asdict(state).items() if value != getattr(_FRESH_STATE, key)}


def state_from_json(data: Any) -> NodeState:
    """The state. What cannot be one, or has parts that cannot, is a new node's as far as that goes."""
    if not isinstance(data, dict):
        return _FRESH_STATE
    return NodeState(**{key: data[key] for key, fits in _FITTING.items() if key in data and fits(data[key])})


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_number_or_none(value: Any) -> bool:
    return value is None or _is_number(value)


_FITTING = {
    "up": _is_flag,
    "ever_up": _is_flag,
    "streak": _is_count,
    "returned_at": _is_number_or_none,
    "next_probe": _is_number,
    "score": _is_number,
    "scored_at": _is_number,
    "ejections": _is_count,
    "ejected_until": _is_number_or_none,
}
_PLAIN = [item.name for item in fields(NodeView) if item.name != "state"]


def encode(picture: Picture) -> str:
    """The compact JSON."""
    nodes = [[*(getattr(one, name) for name in _PLAIN), state_to_json(one.state)] for one in picture.nodes]
    data = {"number": picture.number, "form": FORM, "at": picture.at, "nodes": nodes}
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def decode(text: str | bytes, now: float, **settings: Any) -> Picture | None:
    """The picture, with `rules`, `away` and `lost_after` of this host; None for what is none of this form."""
    rules = settings.get("rules", Rules())
    try:
        data = json.loads(text)
        if data["form"] != FORM:
            return None
        nodes = tuple(_node(row, now, rules) for row in data["nodes"])
        return Picture(nodes, float(data["at"]), int(data["number"]), **settings)
    except (ValueError, TypeError, KeyError, IndexError):
        return None


def _node(row: list[Any], now: float, rules: Rules) -> NodeView:
    values = dict(zip(_PLAIN, row[:-1], strict=True))
    values["admin"] = Admin(values["admin"])
    return NodeView(**values, state=plausible(state_from_json(row[-1]), now, rules))
