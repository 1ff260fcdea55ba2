"""From SQL to pages: plain columns, no model instances, so that 40,000 files fit a second and little memory."""

from dataclasses import replace

from pkgindex.catalog.models import File, Index, Project
from pkgindex.simple.pages import QUARANTINED, DetailPage, ListedProject, Page, PageFile, RootPage, in_order

ROWS_AT_A_TIME = 5_000
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
RELEASE_COLUMNS = ("release__yanked", "release__yanked_reason")


def load(index_id: int, normalized_name: str) -> Page | None:
    """The page of a project, or with an empty name the list of projects; None where there is no such thing."""
    return load_detail(index_id, normalized_name) if normalized_name else load_root(index_id)


def load_version(index_id: int, normalized_name: str) -> int | None:
    """The serial of the last change of a page in one query; None where there is no such page."""
    if normalized_name:
        projects = Project.objects.filter(index_id=index_id, normalized_name=normalized_name)
        return projects.values_list("last_serial", flat=True).first()
    return Index.objects.filter(pk=index_id).values_list("last_serial", flat=True).first()


def load_detail(index_id: int, normalized_name: str) -> DetailPage | None:
    """A project's page. A quarantined project offers no files (PEP 792).

    The project's row is read first: a change in between then gives newer files under an older serial, never the
    reverse.
    """
    columns = ("id", "last_serial", "status", "status_reason")
    rows = Project.objects.filter(index_id=index_id, normalized_name=normalized_name).values_list(*columns)
    row = rows.first()
    if row is None:
        return None
    project_id, serial, status, reason = row
    files = () if status == QUARANTINED else _files(project_id)
    return DetailPage(normalized_name, serial, status, reason, files)


def _files(project_id: int) -> tuple[PageFile, ...]:
    rows = File.objects.filter(release__project_id=project_id).order_by()
    found = []
    for *columns, yanked, reason in rows.values_list(*FILE_COLUMNS, *RELEASE_COLUMNS).iterator(ROWS_AT_A_TIME):
        file = PageFile(*columns)
        # The mark of a release is the mark of each of its files.
        found.append(replace(file, yanked=True, yanked_reason=file.yanked_reason or reason) if yanked else file)
    return in_order(found)


def load_root(index_id: int) -> RootPage | None:
    """The list of projects without the quarantined ones, by normalised name."""
    serial = load_version(index_id, "")
    if serial is None:
        return None
    rows = (
        Project.objects.filter(index_id=index_id)
        .exclude(status=QUARANTINED)
        .order_by("normalized_name")
        .values_list("name", "normalized_name", "last_serial")
    )
    return RootPage(serial, tuple(ListedProject(*row) for row in rows.iterator(ROWS_AT_A_TIME)))
