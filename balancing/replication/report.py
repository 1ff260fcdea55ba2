"""How the fleet and its copies stand, for the command line and for programs."""

import time
from typing import Any

from balancing import snapshot
from balancing.models import Health, ReplicaState
from balancing.replication import queries
from balancing.status import size, words

COLUMNS = ("node", "state", "health", "zone", "weight", *(state.value for state in ReplicaState), "free")


def status() -> dict[str, Any]:
    """Every node with its health and its copies by state, and the transfers under way. Sizes are bytes."""
    counts, now = queries.counts(), time.time()
    errors = dict(Health.objects.values_list("node_id", "last_error"))
    nodes = []
    for one in sorted(snapshot.current().nodes, key=lambda one: one.name):
        own = counts.get(one.name, {})
        nodes.append(
            {
                "name": one.name,
                "url": one.url,
                "state": str(one.admin),
                "health": words(one, now),
                "zone": one.zone,
                "weight": one.weight,
                "free": one.free,
                "copies": {state.value: own.get(state.value, 0) for state in ReplicaState},
                "last_error": errors.get(one.name, "") or queries.last_error(one.name),
            }
        )
    return {"nodes": nodes, "transfers": queries.under_way()}


def as_text(found: dict[str, Any]) -> str:
    """The same for people: a table, then errors and transfers."""
    if not found["nodes"]:
        return "There are no nodes; add one: mirrors add NAME URL"
    table = [COLUMNS, *(_cells(one) for one in found["nodes"])]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    lines += [f"{one['name']}: {one['last_error']}" for one in found["nodes"] if one["last_error"]]
    lines += [
        f"{one['digest'][:12]} to {one['node']}: {size(one['sent'])} of {size(one['size'])}"
        for one in found["transfers"]
    ]
    return "\n".join(lines)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    copies = (str(number) for number in one["copies"].values())
    return (one["name"], one["state"], one["health"], one["zone"], f"{one['weight']:g}", *copies, size(one["free"]))
