"""The adapter that joins limits on storage to the catalogue: who keeps which bytes, and how many there are.

A file counts for the user who uploaded it (scope `storage`), for its project (`project-storage`) and for its index
(`index-storage`), by its size. The rows are the truth; `throttling.stock` keeps the counters that decide. What somebody
keeps does not depend on the token or the address they use: plans of tokens and networks say nothing of storage.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from django.db.models import Q, Sum
from django.db.models.functions import Length
from django.dispatch import receiver

from pkgindex.accounts.models import User
from pkgindex.accounts.roles import Who
from pkgindex.catalog.models import File, Index, Project
from pkgindex.catalog.signals import FileFacts, files_removed
from pkgindex.errors import ServiceError
from throttling import stock
from throttling.decision import Decision
from throttling.stock import Holder
from throttling.subjects import Caller

PROJECT, INDEX = "project-storage", "index-storage"
PAUSE = 60.0  # seconds: no file that is being stored now takes longer until its row is there
LONGEST = 76  # characters of a name that keys can hold after `key:`
NOUNS = {"user": "you have", "group": "your group has", "users": "all users have", "everyone": "all indexes have"}


class StorageFull(ServiceError):
    """A limit on storage refuses; the sentence names it, what is used, and what to do.

    Answered with 400, as PyPI answers: waiting does not help, as 429 would promise. twine repeats every 5xx four times
    at once, so not 507; uv tells people that a 403 means wrong credentials; and 413 reads as one file too large.
    """

    code = "storage_full"

    def __init__(self, decision: Decision, needed: str) -> None:
        refused = decision.results[decision.answer.refused_by - 1]
        super().__init__(
            f"Storage limit '{refused.limit.name}' is reached: {_holder(refused.subject)} "
            f"{_amount(refused.outcome.level)} of {_amount(refused.quota)} and this takes {needed}. "
            "Delete files, or ask an administrator for more."
        )


@dataclass(frozen=True, slots=True)
class Room:
    """Where an upload wants room: `index` by its slug, and with its uploader, who is None where nobody owns the file.

    `limited` is False for the operator: what is imported counts and is never refused.
    """

    index: str
    uploader: Holder | None = None
    limited: bool = True

    @classmethod
    def of(cls, who: Who | None, index: str, sender: Caller | None = None) -> "Room":
        """Room for `who`, None for the operator; `sender` may be exempt by a token or an address."""
        if who is None or who.user_id is None:
            return cls(index, limited=who is not None)
        return cls(index, _person(who.user_id, who.group_ids, free=sender is not None and stock.exempt(sender)))

    def holders(self, project: str = "") -> tuple[Holder, ...]:
        """Who keeps the bytes; `project` is a normalised name, or empty while it is not known."""
        found = [Holder(Caller(name=index_name(self.index)), INDEX)]
        if project:
            found.insert(0, Holder(Caller(name=project_name(f"{self.index}/{project}")), PROJECT))
        if self.uploader is not None:
            found.insert(0, self.uploader)
        return tuple(found if self.limited else (replace(holder, free=True) for holder in found))

    def check(self, least: int, declared: int, project: str = "", *, unless: Callable[[], bool]) -> None:
        """Return where there is room for `least` bytes, or `unless` says that none is needed. Raises StorageFull.

        `declared` is what the client says that it sends, a little more than the file.
        """
        holders = self.holders(project)
        decision = stock.look(holders, least)
        if not decision.allowed and not unless():
            stock.told(holders, decision)
            raise StorageFull(decision, f"about {_amount(declared)}")

    @contextmanager
    def reserved(self, size: int, project: str) -> Iterator[Callable[[], None]]:
        """Room for a file while it is stored; given back unless the block calls what it gets, after the file's row is
        committed. Raises StorageFull.
        """  # noqa: D205 - one thought
        reservation = stock.take(self.holders(project), size)
        if not reservation.allowed:
            raise StorageFull(reservation.decision, _amount(size))
        end = stock.drop

        def keep() -> None:
            nonlocal end
            end = stock.keep

        try:
            yield keep
        finally:
            end(reservation)


def project_name(place: str) -> str:
    """The project's name among the keys, from `main/acme`; a long one ends in a digest."""
    name = f"project:{place}"
    if len(name) <= LONGEST:
        return name
    slug = place.partition("/")[0]
    return f"project:{slug}/={sha256(name.encode()).hexdigest()[:16]}"


def index_name(slug: str) -> str:
    """The index's name among the keys."""
    return f"index:{slug}"


def stored(subject: str) -> int | None:
    """The bytes that a subject keeps, as `THROTTLING["STORED"]` wants it; None for tokens, addresses and the like."""
    kind, _, name = subject.partition(":")
    which: Q | None = None
    if kind in {"user", "group"} and name.isdecimal():
        which = Q(uploaded_by=int(name)) if kind == "user" else Q(uploaded_by__groups=int(name))
    elif kind == "key":
        which = _files_of(name)
    elif subject in {"users", "everyone"}:
        which = Q(uploaded_by__isnull=False) if subject == "users" else Q()
    return None if which is None else _sum(which)


def _files_of(name: str) -> Q | None:
    kind, _, place = name.partition(":")
    if kind == "index":
        return Q(index__slug=place)
    slug, _, project = place.partition("/")
    if kind != "project" or not project:
        return None
    if not project.startswith("="):
        return Q(release__project__index__slug=slug, release__project__normalized_name=project)
    least = LONGEST - len(f"project:{slug}/")
    long = Project.objects.filter(index__slug=slug).annotate(length=Length("normalized_name"))
    rows = long.filter(length__gt=least).values_list("pk", "normalized_name")
    return Q(release__project__in=[pk for pk, found in rows if project_name(f"{slug}/{found}") == name])


def _sum(which: Q) -> int:
    return int(File.objects.filter(which).order_by().aggregate(total=Sum("size"))["total"] or 0)


@receiver(files_removed)
def _released(facts: Sequence[FileFacts], **_signal: Any) -> None:
    """Give back what was deleted, when that is committed."""
    if not stock.in_use():
        return
    sizes: Counter[tuple[Holder, ...]] = Counter()
    people = _people({fact.uploaded_by_id for fact in facts if fact.uploaded_by_id is not None})
    for fact in facts:
        slug, _, project = fact.project.partition("/")
        sizes[Room(slug, people.get(fact.uploaded_by_id or 0)).holders(project)] += fact.size
    for holders, size in sizes.items():
        stock.release(holders, size)


def recount(pause: float = PAUSE) -> int:
    """Make the counters what the rows say, `pause` seconds after the differences were seen; gives how many differed."""
    if not stock.in_use():
        return 0
    everyone = list(everybody())
    known = {holder.caller.key: total for holder, total in everyone}
    found = stock.differences(
        (holder for holder, _ in everyone), lambda key: known[key] if key in known else stored(key)
    )
    if not found:
        return 0
    time.sleep(pause)
    return stock.settle(found)


def everybody() -> Iterator[tuple[Holder, int]]:
    """Everybody and everything that may keep files, with the bytes of the rows, in few queries."""
    files = File.objects.order_by()
    totals = dict(files.values_list("uploaded_by").annotate(total=Sum("size")))
    ids = list(User.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), 500):
        for pk, holder in _people(ids[start : start + 500]).items():
            yield holder, totals.get(pk, 0)
    totals = dict(files.values_list("index").annotate(total=Sum("size")))
    for pk, slug in Index.objects.values_list("pk", "slug"):
        yield Holder(Caller(name=index_name(slug)), INDEX), totals.get(pk, 0)
    totals = dict(files.values_list("release__project").annotate(total=Sum("size")))
    places = Project.objects.order_by("pk").values_list("pk", "index__slug", "normalized_name")
    for pk, slug, name in places.iterator(chunk_size=2_000):
        yield Holder(Caller(name=project_name(f"{slug}/{name}")), PROJECT), totals.get(pk, 0)


def _people(ids: Iterable[int]) -> dict[int, Holder]:
    groups: dict[int, list[int]] = {pk: [] for pk in ids}
    links = User.groups.through.objects.filter(user_id__in=list(groups))
    for user_id, group_id in links.values_list("user_id", "group_id"):
        groups[user_id].append(group_id)
    return {pk: _person(pk, found) for pk, found in groups.items()}


def _person(user_id: int, group_ids: Sequence[int], *, free: bool = False) -> Holder:
    return Holder(Caller(user=str(user_id), groups=tuple(map(str, sorted(group_ids)))), free=free)


def _holder(subject: str) -> str:
    kind, _, name = subject.partition(":")
    if kind == "key":
        kind, _, name = name.partition(":")
        return f"{kind} '{name}' has"
    return NOUNS.get(kind, f"{subject} has")


def _amount(size: int) -> str:
    """Bytes for people, rounded up, in the units in which plans are written."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{-(-size * 10 // scale) / 10:g} {unit}"
    return f"{size} B"
