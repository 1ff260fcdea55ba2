"""Every few seconds: free what killed transfers held, and send tasks for what is due."""

from collections import Counter
from collections.abc import Iterable

from balancing import conf, snapshot
from balancing.models import Node
from balancing.replication import queries, rows, sending, taking

WINDOW = 1_000  # rows of one query
MOST_WINDOWS = 50
SHARE = 4  # tasks for each transfer that a node may have at once


def reap() -> int:
    """Returns how many tasks were sent: to each node a few, because each task goes on with what else waits for it.

    What waits for a node that is away stays, and costs nothing.
    """
    rows.expire()
    passed_over, chosen = away(), Chosen()
    for _ in range(MOST_WINDOWS):
        window = queries.due(WINDOW, passed_over)
        chosen.add(window)
        if len(window) < WINDOW:
            break
        passed_over |= chosen.full()
    return sending.dispatch(chosen.work)


class Chosen:
    """Work in its order, for each node no more than its share."""

    def __init__(self) -> None:
        self.work: list[queries.Work] = []
        self._most, self._count = SHARE * taking.parallel(conf.get()), Counter[str]()

    def add(self, found: Iterable[queries.Work]) -> None:
        """Take what still fits."""
        for one in found:
            if self._count[one[1]] < self._most:
                self._count[one[1]] += 1
                self.work.append(one)

    def full(self) -> set[str]:
        """Nodes that have their share."""
        return {node for node, number in self._count.items() if number >= self._most}


def away() -> set[str]:
    """The nodes that were up once and do not answer their probes now."""
    picture = snapshot.current()
    members = [(name, picture.member(name)) for name in Node.objects.values_list("pk", flat=True)]
    return {name for name, member in members if member and member.state.ever_up and not member.state.up}


def is_away(node: str) -> bool:
    """The same for one node."""
    member = snapshot.current().member(node)
    return member is not None and member.state.ever_up and not member.state.up
