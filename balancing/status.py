"""The state of nodes in words and numbers, for lists, programs and public pages."""

import time
from typing import Any

from balancing import conf, fleet, picture, snapshot, states, stats
from balancing.fleet import Admin
from balancing.picture import NodeView


def words(view: NodeView, now: float | None = None) -> str:
    """The node's health in a few words."""
    moment, rules = time.time() if now is None else now, conf.get().health
    state = picture.plausible(view.state, moment, rules)
    if view.admin is Admin.DISABLED:
        return "disabled"
    if view.admin is Admin.DRAINING:
        return "drained" if is_drained(view, moment) else "draining"
    if not state.ever_up:
        return "not up yet"
    if not state.up:
        return "down" if view.down_since is None else f"down for {duration(moment - view.down_since)}"
    if state.ejected_until is not None and states.is_ejected(state, moment):
        return f"ejected for another {duration(state.ejected_until - moment)}"
    share = states.share(state, moment, rules)
    starting = f", starting slowly at {share:.0%}" if share < 1 else ""
    return ("up, under suspicion" if states.is_suspicious(state, moment, rules) else "up") + starting


def is_drained(view: NodeView, now: float | None = None) -> bool:
    """True where a draining node has nothing left to finish. What it said before it was drained is not believed."""
    moment, rules = time.time() if now is None else now, conf.get().health
    since = view.draining_since or 0.0
    asked_since = moment - since > rules.interval * (1 + rules.jitter)
    return fleet.is_drained(view.member, view.in_flight if asked_since else max(1, view.in_flight), moment, rules)


def duration(seconds: float) -> str:
    """Seconds as people say them: 40 s, 12 min, 5 h, 3 d."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def size(number: int | None) -> str:
    """Bytes as people say them; a dash where unknown."""
    if number is None:
        return "-"
    value = float(number)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} PB"


def lag_words(lag: stats.Lag) -> str:
    """What a node is behind by."""
    if not lag.total:
        return "none"
    since = f", oldest {duration(lag.oldest)}" if lag.oldest is not None else ""
    failed = lag.copies.get("failed", 0)
    return f"{lag.total} copies, {size(sum(lag.bytes.values()))}{since}" + (f", {failed} given up" if failed else "")


def status() -> dict[str, Any]:
    """For a public page: how the nodes are, without addresses and errors; `lag` counts copies that are missing."""
    seen, now, lags = snapshot.current(), time.time(), stats.lag()
    selection = seen.selection(now)
    return {
        "panic": selection.panic,
        "outdated": seen.outdated,
        "nodes": [
            {
                "name": one.name,
                "zone": one.zone,
                "state": one.admin.value,
                "healthy": states.is_healthy(one.state, now),
                "health": words(one, now),
                "lag": lags[one.name].total if one.name in lags else 0,
            }
            for one in seen.nodes
        ],
    }
