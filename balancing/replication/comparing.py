"""Anti-entropy: what a node has, against what the table says it has, in both directions and in constant memory.

Both sides come in the order of digests, a page at a time. The table is read after the page, so that a row says what was
true of the file at that time or later; where a row was made anew since an hour ago, the node is asked once more.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from balancing import nodes, picker, source
from balancing.backends import Backend, NodeError, Page
from balancing.models import Node, Replica, ReplicaState
from balancing.replication import planning, queries, rows
from balancing.source import Source

YOUNG = timedelta(hours=1)
ALL_STATES = list(ReplicaState)


@dataclass(slots=True)
class Differences:
    """What a comparison found: files that must go, copies that are missing or have another size."""

    files: int = 0
    strangers: int = 0
    missing: int = 0
    damaged: int = 0

    def as_dict(self) -> dict[str, int]:
        """For logs and JSON."""
        return asdict(self)


def compare(node: str, progress: Callable[[int], object] = lambda _: None) -> Differences:
    """Compare a whole node; raises NodeError where it does not answer. `progress` hears of each page's files."""
    backend, found, after = nodes.backend_for(Node.objects.get(pk=node)), Differences(), ""
    asked = source.get()
    while True:
        page = backend.inventory(after)
        if page.after is not None and page.after <= after:
            raise NodeError("bad_answer", "The node's inventory goes in circles.")
        _compare_page(node, backend, page, after, found, asked)
        found.files += len(page.files)
        progress(len(page.files))
        if page.after is None:
            rows.clear_tombstones(node)
            return found
        after = page.after


def _compare_page(node: str, backend: Backend, page: Page, after: str, found: Differences, asked: Source) -> None:
    here, table = dict(page.files), _table(node, after, page.after)
    strangers = {
        digest: size for digest, size in here.items() if digest not in table or table[digest][0] == ReplicaState.DELETED
    }
    found.strangers += _settle_strangers(node, strangers, asked)
    for digest, (state, size, verified_at) in table.items():
        if state != ReplicaState.VERIFIED or here.get(digest) == size:
            continue
        young = verified_at is None or verified_at > timezone.now() - YOUNG
        if young and backend.has(digest) == size:
            continue
        lost = digest not in here
        reason = "The node no longer had it." if lost else f"It had {here[digest]} instead of {size} bytes."
        if rows.damaged(digest, node, reason, seen=verified_at, lost=lost):
            found.missing += lost
            found.damaged += not lost
            picker.forget(digest)


def _table(node: str, after: str, last: str | None) -> dict[str, tuple[str, int, datetime | None]]:
    # All states are named, so that the index over node, state and digest serves it.
    rows = Replica.objects.filter(node_id=node, state__in=ALL_STATES, digest__gt=after)
    rows = rows if last is None else rows.filter(digest__lte=last)
    values = rows.order_by().values_list("digest", "state", "size", "verified_at")
    return {digest: (state, size, verified_at) for digest, state, size, verified_at in values.iterator()}


def _settle_strangers(node: str, sizes: dict[str, int], asked: Source) -> int:
    """Files that no row tells of: copies that belong there are taken on and checked, the others must go."""
    wanted = [one for part in queries.parts(list(sizes)) for one in asked.wanted(part).values()]
    planning.settle(wanted, planning.sites())
    live = list(rows.LIVE)
    kept: set[str] = set()
    for part in queries.parts([one.digest for one in wanted]):
        taken = Replica.objects.filter(node_id=node, digest__in=part, state__in=live)
        kept.update(taken.values_list("digest", flat=True))
        rows.noticed(node, part)
    gone = {digest: size for digest, size in sizes.items() if digest not in kept}
    for part in queries.parts(list(gone)):
        rows.bury_strangers(node, {digest: gone[digest] for digest in part})
    return len(gone)
