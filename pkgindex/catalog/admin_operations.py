"""The acts that the admin offers on files, releases and projects: the catalogue's services with their words."""

from collections.abc import Sequence

from pkgindex.catalog import services
from pkgindex.catalog.admin_actions import Operation, Reason, Run
from pkgindex.catalog.models import File, Project, ProjectStatus, Release

_YANKED = (
    "Installers choose it only where its version is pinned exactly. It stays downloadable, and this can be taken back."
)
_BACK = "Installers choose it again."
_DELETED = (
    "It is removed for good. Lock files that name it stop working. "
    "A file's name may come back only with the same bytes."
)


def _files_of_releases(rows: Sequence[Release]) -> str:
    return _count(File.objects.filter(release__in=rows).count(), "file")


def _contents_of_projects(rows: Sequence[Project]) -> str:
    releases = Release.objects.filter(project__in=rows).count()
    files = File.objects.filter(release__project__in=rows).count()
    return f"{_count(releases, 'release')} and {_count(files, 'file')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _set(status: ProjectStatus) -> Run:
    return lambda actor, row, reason: services.set_status(actor, None, row, status.value, reason)


FILE_OPERATIONS = (
    Operation(
        "yank",
        "Yank",
        "yanked",
        _YANKED,
        lambda a, row, why: services.yank_file(a, None, row, why),
        reason=Reason.OPTIONAL,
    ),
    Operation(
        "unyank", "Take the yank back", "offered again", _BACK, lambda a, row, _: services.unyank_file(a, None, row)
    ),
    Operation(
        "delete",
        "Delete",
        "deleted",
        _DELETED + " A release left without files goes too.",
        lambda a, row, _: services.delete_file(a, None, row),
        permission="remove",
    ),
)
RELEASE_OPERATIONS = (
    Operation(
        "yank",
        "Yank",
        "yanked",
        _YANKED,
        lambda a, row, why: services.yank_release(a, None, row, why),
        reason=Reason.OPTIONAL,
        extent=_files_of_releases,
    ),
    Operation(
        "unyank",
        "Take the yank back",
        "offered again",
        _BACK,
        lambda a, row, _: services.unyank_release(a, None, row),
        extent=_files_of_releases,
    ),
    Operation(
        "delete",
        "Delete",
        "deleted",
        _DELETED,
        lambda a, row, _: services.delete_release(a, None, row),
        permission="remove",
        extent=_files_of_releases,
    ),
)
PROJECT_OPERATIONS = (
    Operation(
        "quarantine",
        "Quarantine",
        "quarantined",
        "No file of it is offered and none is accepted until its status changes. Nothing is deleted.",
        _set(ProjectStatus.QUARANTINED),
        reason=Reason.REQUIRED,
        extent=_contents_of_projects,
    ),
    Operation(
        "archive",
        "Archive",
        "archived",
        "No new files are accepted. What is published stays available.",
        _set(ProjectStatus.ARCHIVED),
        reason=Reason.OPTIONAL,
    ),
    Operation(
        "deprecate",
        "Deprecate",
        "deprecated",
        "It stays available, and its users are told not to rely on it.",
        _set(ProjectStatus.DEPRECATED),
        reason=Reason.OPTIONAL,
    ),
    Operation(
        "activate",
        "Set active",
        "active now",
        "It takes and offers files as usual. A former reason is cleared.",
        _set(ProjectStatus.ACTIVE),
    ),
    Operation(
        "delete",
        "Delete",
        "deleted",
        _DELETED + " Roles on it go too, and its name is free for anyone who may upload.",
        lambda a, row, _: services.delete_project(a, None, row),
        permission="remove",
        extent=_contents_of_projects,
    ),
)
