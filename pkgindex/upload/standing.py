"""What the catalogue says of an upload before it is judged, and as of which serial of the journal that holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection
from django.db.models import Subquery
from packaging.version import InvalidVersion

from pkgindex.blobs import store
from pkgindex.catalog.changes import asking_serial, serial_in
from pkgindex.catalog.models import File, Project, Release, RetiredFilename
from pkgindex.catalog.names import normalize, release_key
from pkgindex.catalog.policy import IndexView
from pkgindex.prepared import Select, ask
from pkgindex.upload.submission import Spooled, Submission

PROJECT_COLUMNS = ("id", "index_id", "name", "normalized_name", "status")
RELEASE_COLUMNS = ("id", "version")
INDEX, NAME, SHA256, VERSION = 987_654_321, "a sample of a name", "a sample of a digest", "a sample of a version"
_projects = Select(
    lambda index, name: (
        Project.objects.filter(index_id=index, normalized_name=name).order_by().values_list(*PROJECT_COLUMNS)
    ),
    INDEX,
    NAME,
)
# A project's own is found by its key, not by a join, which costs PostgreSQL more planning than the rest together.
_releases = Select(
    lambda index, name, version: (
        Release.objects.filter(
            project_id=Subquery(
                Project.objects.filter(index_id=index, normalized_name=name).order_by().values("pk")[:1]
            ),
            canonical_version=version,
        )
        .order_by()
        .values_list(*RELEASE_COLUMNS)
    ),
    INDEX,
    NAME,
    VERSION,
)
# Their project only where there are any, which is rare: joining it costs PostgreSQL three times the planning.
FILE_COLUMNS = ("filename", "blob_id", "release_id", "index_id")
# Two questions in one, and the second without the index: for OR, or for AND, SQLite would read all files of the index.
_same = Select(
    lambda index, filename, sha256: (
        File.objects.filter(index_id=index, filename=filename)
        .order_by()
        .values_list(*FILE_COLUMNS)
        .union(File.objects.filter(blob_id=sha256).order_by().values_list(*FILE_COLUMNS), all=True)
        .order_by()  # else Django 6.1 orders both by the model's default
    ),
    INDEX,
    NAME,
    SHA256,
)
_retired = Select(
    lambda index, filename: (
        RetiredFilename.objects.filter(index_id=index, filename=filename).order_by().values_list("sha256")
    ),
    INDEX,
    NAME,
)


class Kept(NamedTuple):
    """A file of the index that has the filename or the bytes of an upload."""

    filename: str
    sha256: str
    project_id: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is of a project's name, a version, a filename and some bytes, as of `serial`, the journal's last one.

    `release` is that of `release_key`, a canonical version.
    """

    serial: int
    project: Project | None
    release_key: str
    release: Release | None
    files: tuple[Kept, ...]  # in the whole index
    retired: str  # the sha256 that the filename may come back with, '' where it never went

    def has(self, filename: str, sha256: str) -> bool:
        """True where exactly that file is in the project."""
        return any(kept[:2] == (filename, sha256) and self.is_in_project(kept) for kept in self.files)

    def is_in_project(self, kept: Kept) -> bool:
        """True for a file of the project, False for another's."""
        return self.project is not None and kept.project_id == self.project.pk


def stand(name: str, version: str, filename: str, sha256: str, index: IndexView) -> Standing:
    """Look all of it up; `name` and `version` in any spelling, and no release for what is no version."""
    normalized, key = normalize(name), _key(version)
    head, projects, releases, same, retired = ask(
        asking_serial(),  # first: what changes while the rest is read counts as changed later
        _projects.statement(index.id, normalized),
        _releases.statement(index.id, normalized, key),
        _same.statement(index.id, filename, sha256),
        _retired.statement(index.id, filename),
    )
    project = Project.from_db(connection.alias, PROJECT_COLUMNS, projects[0]) if projects else None
    release = Release.from_db(connection.alias, RELEASE_COLUMNS, releases[0]) if project and releases else None
    files = _kept([row[:3] for row in dict.fromkeys(same) if row[3] == index.id])
    return Standing(serial_in(head), project, key, release, files, next((kept for (kept,) in retired), ""))


def _key(version: str) -> str:
    try:
        return release_key(version)
    except InvalidVersion:
        return ""


def _kept(rows: Sequence[tuple[str, str, int]]) -> tuple[Kept, ...]:
    """Files by name, bytes and release; those whose release went away just now are gone as well."""
    if not rows:
        return ()
    releases = Release.objects.filter(pk__in=[release for _, _, release in rows]).order_by()
    projects = dict(releases.values_list("pk", "project_id"))
    return tuple(Kept(name, sha256, projects[release]) for name, sha256, release in rows if release in projects)


def is_published(submission: Submission, spooled: Spooled, index: IndexView, standing: Standing) -> bool:
    """True where exactly this file is in that project and its bytes are in the storage: nothing is left to do."""
    if submission.digests.get("sha256_digest", spooled.sha256).lower() != spooled.sha256:
        return False
    if not standing.has(submission.filename, spooled.sha256):
        return False
    files = File.objects.filter(index_id=index.id, filename=submission.filename, blob_id=spooled.sha256)
    file = files.select_related("blob", "metadata_blob").first()
    if file is None:  # it was deleted just now
        return False
    blobs = [blob for blob in (file.blob, file.metadata_blob) if blob is not None]
    return all(store.is_whole(blob.sha256, blob.size) for blob in blobs)
