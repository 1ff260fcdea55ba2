"""From SQL to what PyPI's JSON says of a project: at most four queries, plain columns."""

from typing import Any

from pkgindex.accounts.models import Role
from pkgindex.accounts.roles import Rank
from pkgindex.catalog.models import Project, ProjectStatus, Release
from pkgindex.catalog.names import release_key
from pkgindex.pypi_json.build import Document, FileFacts, ReleaseFacts, latest

FILE_COLUMNS = (  # as the fields of FileFacts stand
    "filename",
    "packagetype",
    "python_version",
    "blob_id",
    "blake2b",
    "md5",
    "size",
    "uploaded_at",
    "requires_python",
    "metadata_blob_id",
    "yanked",
    "yanked_reason",
)
RELEASE_COLUMNS = ("id", "version", "yanked", "yanked_reason", "summary", "requires_python")
ROWS_AT_A_TIME = 5_000
RANKS_SHOWN = (Rank.OWNER.value, Rank.MAINTAINER.value)


def load(index_id: int, normalized_name: str, version: str | None, *, with_roles: bool) -> Document | None:
    """The document of a project's latest release, or of one release; None where there is no such thing.

    `version` may be written in any way that PEP 440 takes for the same release. Raises ValueError where it cannot be
    read.
    """
    projects = Project.objects.filter(index_id=index_id, normalized_name=normalized_name)
    project = projects.exclude(status=ProjectStatus.QUARANTINED).values_list("id", "name", "last_serial").first()
    if project is None:
        return None
    project_id, name, serial = project
    releases = _releases(project_id, release_key(version) if version else None)
    if not releases:
        return None
    shown = latest(list(releases.values()))
    metadata, description = Release.objects.values_list("metadata", "description").get(pk=shown.id)
    return Document(
        name=name,
        normalized_name=normalized_name,
        serial=serial,
        shown=shown,
        metadata=metadata,
        description=description,
        releases=None if version else list(releases.values()),
        roles=_roles(project_id) if with_roles else [],
    )


def _releases(project_id: int, canonical_version: str | None) -> dict[int, ReleaseFacts]:
    rows = Release.objects.filter(project_id=project_id).order_by()
    if canonical_version is not None:
        rows = rows.filter(canonical_version=canonical_version)
    wanted = rows.values_list(*RELEASE_COLUMNS, *(f"files__{column}" for column in FILE_COLUMNS))
    found: dict[int, ReleaseFacts] = {}
    for pk, version, yanked, reason, summary, requires_python, *file in wanted.iterator(ROWS_AT_A_TIME):
        facts = found.setdefault(pk, ReleaseFacts(pk, version, yanked, reason, summary, requires_python, []))
        if file[0] is not None:  # a release without files is a row without one
            facts.files.append(FileFacts(*file))
    for facts in found.values():
        facts.files.sort(key=lambda file: file.filename)
    return found


def _roles(project_id: int) -> list[dict[str, Any]]:
    rows = Role.objects.filter(project_id=project_id, user__isnull=False, rank__in=RANKS_SHOWN)
    return [
        {"role": rank.capitalize(), "user": username}
        for rank, username in rows.order_by("user__username").values_list("rank", "user__username")
    ]
