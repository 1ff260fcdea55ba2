"""What a process has learnt from an index's journal: pages that did not change need no SQL, however long nobody asked.

The version of a page stands in Redis for a minute (`pkgindex.catalog.versions`). Where it has gone, the version of the
whole index, which every change gives anew, tells too: a page whose version was read from SQL stays what it was until
the index has a higher one, and then the journal says which pages changed. Installers that come once an hour for the
same hundred projects are so answered like those that come every second.
"""

from django.db.models import OuterRef, Subquery

from pkgindex import nearcache
from pkgindex.catalog import versions
from pkgindex.catalog.journal import Journal
from pkgindex.catalog.models import Index, JournalEntry, Project
from throttling.lines import Beside

ABSENT = 0  # the version of a name that no project has; real serials begin at 1


class Journals:
    """Those of the indexes that this process was asked for."""

    def __init__(self) -> None:
        self._of: dict[int, Journal] = {}

    def of(self, index_id: int) -> Journal:
        """The journal of an index."""
        return self._of.get(index_id) or self._of.setdefault(index_id, Journal())

    def clear_local(self) -> None:
        """Forget all."""
        self._of.clear()


journals = Journals()
nearcache.every.append(journals)


def at_hand(index_id: int, name: str, held: Beside | None, seen: tuple[int, int] | None = None) -> int | None:
    """The newest version of a page by what its `versions.keys` hold; None where SQL would have to be asked."""
    if not held:
        return None
    if held[0] is not None or len(held) == 1:
        return versions.parse(held[0])
    top = versions.parse(held[1])
    return None if top is None else journals.of(index_id).newest(name, top, seen)


def newest(index_id: int, name: str, held: Beside | None) -> int | None:
    """As `at_hand`, and from SQL where it must be; None where there is no such page. Leaves what it found in Redis."""
    version = at_hand(index_id, name, held)
    top = versions.parse(held[-1]) if held and name and held[0] is None else None
    if version is None and top is not None:
        catch_up(index_id, top)
        version = at_hand(index_id, name, held)
    if version is not None:
        return None if version == ABSENT else version
    keys = versions.keys(index_id, name)
    held = held or (None,) * len(keys)
    return _project(index_id, name, keys, held) if name else _list(index_id, keys, held)


def catch_up(index_id: int, top: int) -> None:
    """Read what is missing of an index's journal up to `top`, a version of it that is committed."""
    journal = journals.of(index_id)
    after = journal.missing(top)
    if after is not None:
        rows = JournalEntry.objects.filter(serial__gt=after, serial__lte=top, index_id=index_id).order_by("serial")
        journal.extend(after, top, list(rows.values_list("normalized_name", "serial")))


def serial_of(index_id: int) -> int | None:
    """The serial of an index's last change in SQL; None where there is no such index."""
    return Index.objects.filter(pk=index_id).values_list("last_serial", flat=True).first()


def _list(index_id: int, keys: tuple[str, ...], held: Beside) -> int | None:
    version = serial_of(index_id)
    # An index that never changed has serial 0 too: that one is read from SQL each time.
    if version != ABSENT:
        _remember(keys, held, (ABSENT if version is None else version,))
    return version


def _project(index_id: int, name: str, keys: tuple[str, ...], held: Beside) -> int | None:
    own = Project.objects.filter(index_id=OuterRef("pk"), normalized_name=name).values("last_serial")
    # Both from one statement: what this says of the project holds for that serial of the index.
    found = Index.objects.filter(pk=index_id).values_list(Subquery(own), "last_serial").first()
    version, serial = found or (None, 0)
    version = version or ABSENT
    if serial:  # else there is no such index, or one that never changed: nothing follows from its version
        journals.of(index_id).saw(name, version, serial)
    _remember(keys, held, (version, serial) if serial else (version,))
    if serial:
        catch_up(index_id, serial)
    return version or None


def _remember(keys: tuple[str, ...], held: Beside, found: tuple[int, ...]) -> None:
    for key, before, serial in zip(keys, held, found, strict=False):
        if before is None:
            versions.remember(key, serial)
