"""From SQL to the blocks of a page: plain columns, a few thousand rows in memory at a time, no model instances.

Where an older page is held, the journal says what changed since: a change of a project names the release that it
touched, and a change of the index the project. Only those are read and written anew; all else is the older page's.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby, islice
from operator import attrgetter, itemgetter
from typing import IO, Any

from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Collate
from packaging.version import InvalidVersion

from pkgindex.catalog.following import serial_of
from pkgindex.catalog.models import File, JournalEntry, Project
from pkgindex.catalog.names import release_key, version_key
from pkgindex.simple.blocks import Area, Beat, Block, Draft, Held
from pkgindex.simple.pages import QUARANTINED, ListedProject, PageFile, Top
from pkgindex.simple.serialize import Format, file_lines, project_lines, projects_in

ROWS_AT_A_TIME = 5_000
BLOCK_LINES = 1_000  # projects of one block of the list
MOST_CHANGES = 500  # journal entries above which a page is made anew
SET_STATUS = "set status "  # begins the action of the only change of a project that no release has a part in
FILE_COLUMNS = (  # as the fields of PageFile stand
    "filename",
    "release__version",
    "blob_id",
    "size",
    "uploaded_at",
    "requires_python",
    "yanked",
    "yanked_reason",
    "metadata_blob_id",
)
RELEASE_COLUMNS = ("release__canonical_version", "release__yanked", "release__yanked_reason")


def draft(
    index_id: int,
    normalized_name: str,
    form: Format,
    prefix: str,
    scratch: IO[bytes],
    held: Held | None = None,
    beat: Beat = lambda: None,
) -> Draft | None:
    """The page of a project, or with an empty name the list of projects; None where there is no such thing.

    New lines are written to `scratch`, unchanged ones are those of `held`. The top's row is read first: a change in
    between then gives newer lines under an older serial, never the reverse.
    """
    area = Area(scratch, form)
    if normalized_name:
        return _detail(index_id, normalized_name, form, prefix, area, held, beat)
    return _list(index_id, form, area, held, beat)


def _detail(
    index_id: int, name: str, form: Format, prefix: str, area: Area, held: Held | None, beat: Beat
) -> Draft | None:
    columns = ("id", "last_serial", "status", "status_reason")
    row = Project.objects.filter(index_id=index_id, normalized_name=name).values_list(*columns).first()
    if row is None:
        return None
    project_id, serial, status, reason = row
    top = Top(serial, name, status, reason)
    if status == QUARANTINED:  # offers no files (PEP 792)
        return Draft(project_id, top, [], form)
    rows = File.objects.filter(release__project_id=project_id)
    changed = _changed_releases(index_id, name, held, project_id, serial)
    blocks: list[Block] = []
    if held is not None and changed is not None:
        rows = rows.filter(release__canonical_version__in=changed)
        blocks = [block for block in held.blocks if block.key not in changed]
    for key, files in _by_release(rows):
        beat()
        blocks.append(area.add(key, files[0].version, file_lines(files, form, prefix)))
    blocks.sort(key=lambda block: version_key(block.label))
    return Draft(project_id, top, blocks, form)


def _changed_releases(index_id: int, name: str, held: Held | None, owner: int, serial: int) -> set[str] | None:
    """The canonical versions that changed after `held`; None where that cannot be told."""
    entries = _entries_since(held, owner, serial, index_id=index_id, normalized_name=name)
    if entries is None:
        return None
    try:
        # Every other change without a version may touch any release.
        return {release_key(version) for _, version, action in entries if not action.startswith(SET_STATUS)}
    except InvalidVersion:
        return None


def _entries_since(held: Held | None, owner: int, serial: int, **where: Any) -> list[tuple[str, str, str]] | None:
    """Name, version and action of each change after `held` up to `serial`.

    None where there are many, or where the journal does not know the change that `held` was made for, as after a
    restored backup.
    """
    if held is None or held.owner != owner or held.serial > serial:
        return None
    rows = JournalEntry.objects.filter(serial__gte=held.serial, serial__lte=serial, **where).order_by("serial")
    found = list(rows.values_list("serial", "normalized_name", "version", "action")[: MOST_CHANGES + 2])
    if not found or found[0][0] != held.serial or len(found) > MOST_CHANGES + 1:
        return None
    return [(name, version, action) for _, name, version, action in found[1:]]


def _by_release(rows: QuerySet[File]) -> Iterator[tuple[str, list[PageFile]]]:
    """Each release that has files, by its canonical version, with its files by name."""
    columns = rows.order_by("release_id").values_list("release_id", *RELEASE_COLUMNS, *FILE_COLUMNS)
    for (_, key), group in groupby(columns.iterator(ROWS_AT_A_TIME), key=itemgetter(0, 1)):
        files = []
        for _, _, yanked, reason, *fields in group:
            file = PageFile(*fields)
            # The mark of a release is the mark of each of its files.
            files.append(replace(file, yanked=True, yanked_reason=file.yanked_reason or reason) if yanked else file)
        yield key, sorted(files, key=attrgetter("filename"))


def _list(index_id: int, form: Format, area: Area, held: Held | None, beat: Beat) -> Draft | None:
    """The list of projects without the quarantined ones, by normalised name."""
    serial = serial_of(index_id)
    if serial is None:
        return None
    rows = Project.objects.filter(index_id=index_id).exclude(status=QUARANTINED)
    entries = _entries_since(held, index_id, serial, index_id=index_id)
    blocks: list[Block] = []
    if held is not None and held.blocks and entries is not None:
        changed = {name for name, _, _ in entries}
        runs = _merged(held.blocks, changed, _listed(rows.filter(normalized_name__in=changed)), form)
    else:
        runs = _in_runs(_listed(_in_order(rows)))
    for run in runs:
        beat()
        if isinstance(run, Block):
            blocks.append(run)
        else:
            blocks.append(area.add(run[0].normalized_name, "", project_lines(run, form)))
    return Draft(index_id, Top(serial), blocks, form)


def _in_order(rows: QuerySet[Project]) -> QuerySet[Project]:
    """By normalised name as Python compares texts; PostgreSQL's own order depends on how the database was made."""
    if connection.vendor == "postgresql":
        return rows.order_by(Collate(F("normalized_name"), "C"))
    return rows.order_by("normalized_name")


def _listed(rows: QuerySet[Project]) -> Iterator[ListedProject]:
    columns = rows.values_list("name", "normalized_name", "last_serial")
    return (ListedProject(*row) for row in columns.iterator(ROWS_AT_A_TIME))


def _in_runs(projects: Iterable[ListedProject]) -> Iterator[list[ListedProject]]:
    left = iter(projects)
    while run := list(islice(left, BLOCK_LINES)):
        yield run


def _merged(
    blocks: list[Block], changed: set[str], fresh: Iterable[ListedProject], form: Format
) -> Iterator[Block | list[ListedProject]]:
    """The blocks in their order; those that a changed name falls into as their projects of now."""
    firsts = [block.key for block in blocks]
    by_block: dict[int, set[str]] = {}
    for name in changed:
        by_block.setdefault(max(0, bisect_right(firsts, name) - 1), set()).add(name)
    now = {project.normalized_name: project for project in fresh}
    for number, block in enumerate(blocks):
        names = by_block.get(number)
        if names is None:
            yield block
            continue
        left = (project for project in projects_in(block.read(), form) if project.normalized_name not in names)
        those = sorted(chain(left, (now[name] for name in names & now.keys())), key=attrgetter("normalized_name"))
        # Halves that may grow again, rather than a rest of a few lines for each block that overflowed.
        middle = len(those) // 2 if len(those) > 2 * BLOCK_LINES else len(those)
        yield from (run for run in (those[:middle], those[middle:]) if run)
