"""Which copies there should be, against which there are: the difference becomes rows that wait, or tombstones."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from balancing import picker, snapshot
from balancing.models import Node, Replica, ReplicaState
from balancing.placement import Site, place
from balancing.replication import queries, rows
from balancing.source import ALL, Source, Wanted

ANEW = timedelta(minutes=30)  # so long after its last try a copy that was given up is tried again
PARTING = 60.0  # seconds in which clients that were sent to a copy that is one too many may fetch it
AWAY = (ReplicaState.DELETING, ReplicaState.DELETED)

Held = dict[str, Replica]


def sites() -> list[Site]:
    """The nodes that may get copies: active, not lost for long, and still in the table."""
    found = list(snapshot.current().sites())
    # The picture may be a second old, and a row for a node that was removed meanwhile would break the transaction.
    known = set(Node.objects.filter(pk__in=[one.id for one in found]).values_list("pk", flat=True))
    return [one for one in found if one.id in known]


def settle(wanted: Sequence[Wanted], places: Iterable[Site], *, anew: bool = False) -> None:
    """Make rows for copies that are missing, and bury those of which more than enough are verified elsewhere.

    A copy that was given up is tried again after a while, with `anew` at once.

    Nodes that are not among `places` get nothing and lose nothing: what a draining or lost node holds does not count,
    and is there when it comes back.
    """
    room = {one.id: one for one in places}
    held = _held([one.digest for one in wanted])
    missing: dict[str, dict[str, int]] = defaultdict(dict)
    for one in wanted:
        here = held[one.digest]
        chosen = targets(one, list(room.values()), here)
        for node in chosen:
            if node not in here or here[node].state in AWAY or _try_anew(here[node], anew):
                missing[node][one.digest] = one.size
                room[node] = replace(room[node], used=room[node].used + one.size)
        if all(node in here and here[node].state == ReplicaState.VERIFIED for node in chosen):
            _bury_surplus(one, chosen, here, room)
    for node, sizes in missing.items():
        rows.want(node, sizes)


def targets(one: Wanted, places: Sequence[Site], here: Held) -> tuple[str, ...]:
    """The nodes that should hold the file; one that could not take it is passed over while others can."""
    copies = len(places) if one.copies == ALL else one.copies
    holding = {node for node, row in here.items() if row.state not in AWAY}
    failed = {node for node, row in here.items() if row.state == ReplicaState.FAILED}
    found = place(one.digest, one.size, copies, [site for site in places if site.id not in failed], holding - failed)
    if found.missing and failed:
        found = place(one.digest, one.size, copies, places, holding)
    return found.nodes


def bury_orphans(digests: Iterable[str], source: Source) -> list[Wanted]:
    """Tombstones for the copies of files that are wanted nowhere, as the source says now; gives what is wanted."""
    wanted: list[Wanted] = []
    for part in queries.parts(list(digests)):
        found = source.wanted(part)
        wanted += found.values()
        gone = [digest for digest in part if digest not in found]
        rows.bury(Replica.objects.filter(digest__in=gone))
        for digest in gone:
            picker.forget(digest)
    return wanted


def _held(digests: Sequence[str]) -> dict[str, Held]:
    found: dict[str, Held] = {digest: {} for digest in digests}
    for part in queries.parts(digests):
        for row in Replica.objects.filter(digest__in=part).only("digest", "node_id", "state", "due_at").order_by():
            found[row.digest][row.node_id] = row
    return found


def _try_anew(row: Replica, anew: bool) -> bool:
    return row.state == ReplicaState.FAILED and (anew or row.due_at < timezone.now() - ANEW)


def _bury_surplus(one: Wanted, chosen: tuple[str, ...], here: Held, room: dict[str, Site]) -> None:
    """Enough copies are verified where they belong; if one was lost since, the next walk makes it again."""
    surplus = [row.pk for node, row in here.items() if node in room and node not in chosen and row.state not in AWAY]
    if surplus and one.copies != ALL and len(chosen) >= one.copies:
        picker.forget(one.digest)
        rows.bury(Replica.objects.filter(pk__in=surplus), seconds=PARTING)
