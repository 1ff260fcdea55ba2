"""From SQL to what the pages show: a constant number of queries for a page, however much there is."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple
from datetime import datetime
from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, F, IntegerField, Q, Value, When, Window
from django.db.models.functions import RowNumber
from django.urls import get_script_prefix

from pkgindex.catalog.models import File, Index, PackageType, Project, ProjectStatus, Release
from pkgindex.catalog.names import normalize, release_key
from pkgindex.nearcache import NearCache
from pkgindex.web.pages import (
    FileLine,
    Overview,
    ProjectLine,
    RecentUpload,
    ReleaseLine,
    Sheet,
    VersionMark,
    distinct,
    file_path,
    latest,
    sort_versions,
)

PROJECTS_A_PAGE = 25
RELEASES_A_PAGE = 25
FILES_A_PAGE = 50
RECENT = 8
RECENT_FILES = 80  # looked at to find that many releases
NEWEST_RELEASES = 500  # of each listed project, among which its latest is chosen
QUERY_LENGTH = 200  # characters, as wide as the column

T = TypeVar("T")


def _dump(overview: Overview) -> dict[str, Any]:
    recent = [[*astuple(upload)[:3], upload.at.isoformat()] for upload in overview.recent]
    return {"projects": overview.projects, "files": overview.files, "recent": recent}


def _restore(data: dict[str, Any]) -> Overview:
    recent = tuple(
        RecentUpload(name, normalized, version, datetime.fromisoformat(at))
        for name, normalized, version, at in data["recent"]
    )
    return Overview(data["projects"], data["files"], recent)


# Kept by the serial of the index's last change, so what is kept is never out of date.
_overviews: NearCache[Overview] = NearCache(
    "web-overview", dump=_dump, restore=_restore, most=1_000, local_seconds=60.0, shared_seconds=600
)


def overview(index_id: int) -> Overview | None:
    """Counts and recent uploads of the index; None where it has just gone."""
    serial = Index.objects.filter(pk=index_id).values_list("last_serial", flat=True).first()
    if serial is None:
        return None

    def load() -> Overview:
        projects = Project.objects.filter(index_id=index_id).count()
        files = File.objects.filter(index_id=index_id).count()
        return Overview(projects, files, recent_uploads(index_id, Q()))

    return _overviews.get(f"{index_id}:{serial}", load)


def clean_query(text: str) -> str:
    """A search as it is compared with normalised names; empty where nothing can match or nothing was asked."""
    line = text.strip()[:QUERY_LENGTH]
    return normalize(line).strip("-") if line.isprintable() else ""


def find_projects(index_id: int, seen: Q, query: str, page: str) -> Sheet[ProjectLine]:
    """One page of the index's projects by name: all, or those that contain `query`, best matches first."""
    rows = Project.objects.filter(seen, index_id=index_id)
    if query:
        rows = rows.filter(normalized_name__contains=query).order_by(_closeness(query), "normalized_name")
    else:
        rows = rows.order_by("normalized_name")
    found = Paginator(rows.only("name", "normalized_name", "status"), PROJECTS_A_PAGE).get_page(page)
    return _sheet(found, _project_lines(list(found)))


def _sheet(found: Page[Any], lines: Iterable[T]) -> Sheet[T]:
    return Sheet(tuple(lines), found.number, found.paginator.num_pages, found.paginator.count)


def _closeness(query: str) -> Case:
    return Case(
        When(normalized_name=query, then=Value(0)),
        When(normalized_name__startswith=query, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )


def _project_lines(projects: list[Project]) -> list[ProjectLine]:
    chosen = _latest_releases([project.pk for project in projects])
    return [
        ProjectLine(project.name, project.normalized_name, project.status, *chosen.get(project.pk, ("", "")))
        for project in projects
    ]


def _latest_releases(project_ids: list[int]) -> dict[int, tuple[str, str]]:
    """Version and summary of each project's latest release."""
    newest = Window(RowNumber(), partition_by=F("project_id"), order_by=F("id").desc())
    rows = Release.objects.filter(project_id__in=project_ids).annotate(nth=newest).filter(nth__lte=NEWEST_RELEASES)
    marks: dict[int, list[VersionMark]] = defaultdict(list)
    for project_id, release_id, version, yanked in rows.values_list("project_id", "id", "version", "yanked"):
        marks[project_id].append(VersionMark(release_id, version, yanked))
    chosen = [mark.release_id for mark in map(latest, marks.values()) if mark is not None]
    found = Release.objects.filter(pk__in=chosen).values_list("project_id", "version", "summary")
    return {project_id: (version, summary) for project_id, version, summary in found}


def recent_uploads(index_id: int, seen: Q) -> tuple[RecentUpload, ...]:
    """The releases that last got files, newest first; none of a quarantined project."""
    projects = Project.objects.filter(seen, index_id=index_id).exclude(status=ProjectStatus.QUARANTINED)
    rows = File.objects.filter(index_id=index_id).order_by("-uploaded_at", "-id")
    if seen or Project.objects.filter(index_id=index_id, status=ProjectStatus.QUARANTINED).exists():
        rows = rows.filter(release__project__in=projects)
    fields = ("release__project__name", "release__project__normalized_name", "release__version", "uploaded_at")
    return distinct((RecentUpload(*row) for row in rows.values_list(*fields)[:RECENT_FILES]), RECENT)


def find_project(index_id: int, normalized_name: str) -> Project | None:
    """The project's row."""
    return Project.objects.filter(index_id=index_id, normalized_name=normalized_name).first()


def versions_of(project: Project) -> list[VersionMark]:
    """Every release of the project, highest version first."""
    rows = Release.objects.filter(project=project).order_by().values_list("id", "version", "yanked")
    return sort_versions(VersionMark(*row) for row in rows)


def find_release(project: Project, version: str) -> Release | None:
    """The release of that version in any of PEP 440's spellings."""
    if len(version) > QUERY_LENGTH:
        return None
    try:
        key = release_key(version)
    except ValueError:
        return None
    return Release.objects.filter(project=project, canonical_version=key).first()


def release_page(marks: list[VersionMark], page: str) -> Sheet[ReleaseLine]:
    """One page of the table of releases."""
    found = Paginator(marks, RELEASES_A_PAGE).get_page(page)
    return _sheet(found, _release_lines(mark.release_id for mark in found))


def _release_lines(ids: Iterable[int]) -> list[ReleaseLine]:
    wanted = list(ids)
    rows = Release.objects.filter(pk__in=wanted).order_by().annotate(count=Count("files"))
    fields = ("id", "version", "created_at", "count", "yanked", "yanked_reason")
    lines = {row[0]: ReleaseLine(*row[1:]) for row in rows.values_list(*fields)}
    return [lines[release_id] for release_id in wanted if release_id in lines]


def file_page(release: Release, page: str) -> Sheet[FileLine]:
    """One page of the release's files, source distributions first, then by name."""
    rows = File.objects.filter(release=release).order_by("-packagetype", "filename")
    found = Paginator(rows, FILES_A_PAGE).get_page(page)
    return _sheet(found, (_file_line(file, release) for file in found))


def _file_line(file: File, release: Release) -> FileLine:
    return FileLine(
        filename=file.filename,
        path=file_path(file.blob_id, file.filename, get_script_prefix()),
        kind="Wheel" if file.packagetype == PackageType.WHEEL else "Source",
        sha256=file.blob_id,
        has_metadata=file.metadata_blob_id is not None,
        size=file.size,
        uploaded_at=file.uploaded_at,
        requires_python=file.requires_python,
        yanked=file.yanked or release.yanked,
        yanked_reason=file.yanked_reason or release.yanked_reason,
    )
