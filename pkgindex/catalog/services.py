"""What may be done to files, releases and projects once they are published: yank, delete, set the status.

Every function takes the actor for the records and `who` for the decision. `who` is None where the caller has decided
already: the admin site by Django's permissions, a command by being the operator's. All raise NotFound where the row
went away meanwhile, and what `require` raises.
"""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q

from pkgindex.accounts.permissions import require
from pkgindex.accounts.roles import Action, Place, Visibility, Who
from pkgindex.audit.record import Actor
from pkgindex.catalog.changes import Change, changing
from pkgindex.catalog.models import File, Project, ProjectStatus, Release, RetiredFilename
from pkgindex.catalog.signals import FileFacts, announce, copies_changed, files_removed
from pkgindex.errors import InvalidRequest, NotFound

REASON_LENGTH = 500  # characters, as wide as the columns
BATCH = 500  # rows of one INSERT


def yank_file(actor: Actor, who: Who | None, file: File, reason: str = "") -> int | None:
    """Yank one file (PEP 592); returns the serial, None where it was yanked for that reason already.

    A release whose files are all yanked counts as yanked itself.
    """
    return _mark_file(actor, who, file, yanked=True, reason=clean_reason(reason))


def unyank_file(actor: Actor, who: Who | None, file: File) -> int | None:
    """Take a file's yank back; its release no longer counts as yanked. None where it was not yanked."""
    return _mark_file(actor, who, file, yanked=False, reason="")


def yank_release(actor: Actor, who: Who | None, release: Release, reason: str = "") -> int | None:
    """Yank a release and every file of it (PEP 592); returns the serial, None where nothing changed."""
    return _mark_release(actor, who, release, yanked=True, reason=clean_reason(reason))


def unyank_release(actor: Actor, who: Who | None, release: Release) -> int | None:
    """Take back the yank of a release and of every file of it; None where nothing changed."""
    return _mark_release(actor, who, release, yanked=False, reason="")


def delete_file(actor: Actor, who: Who | None, file: File) -> int:
    """Remove a file for ever and return the serial; a release left without files goes too.

    Its name may come back with the same bytes only. The bytes stay until garbage collection.
    """
    release = file.release
    project = release.project
    _require(who, project)
    with changing(project.index_id, project.index.slug, actor) as change:
        if not _remove_files(project.index_id, Q(pk=file.pk)):
            raise NotFound(f"There is no file '{file.filename}' here.")
        serial = change.note("remove file", project, version=release.version, filename=file.filename)
        if File.objects.filter(release=release).exists():
            _settle(release.pk)
            return serial
        Release.objects.filter(pk=release.pk).delete()
        return change.note("remove release", project, version=release.version)


def delete_release(actor: Actor, who: Who | None, release: Release) -> int:
    """Remove a release and its files for ever; returns the serial."""
    project = release.project
    _require(who, project)
    with changing(project.index_id, project.index.slug, actor) as change:
        _remove_files(project.index_id, Q(release=release))
        if not Release.objects.filter(pk=release.pk).delete()[0]:
            raise NotFound(f"There is no release {release.version} of '{project.name}' here.")
        return change.note("remove release", project, version=release.version)


def delete_project(actor: Actor, who: Who | None, project: Project) -> int:
    """Remove a project with its releases, files and roles for ever; returns the serial. The name is free again."""
    _require(who, project)
    with changing(project.index_id, project.index.slug, actor) as change:
        serial = change.note("remove project", project)
        _remove_files(project.index_id, Q(release__project=project))
        Release.objects.filter(project=project).delete()
        if not Project.objects.filter(pk=project.pk).delete()[0]:
            raise NotFound(f"There is no project '{project.name}' here.")
        return serial


def set_status(actor: Actor, who: Who | None, project: Project, status: str, reason: str = "") -> int | None:
    """Set the project's status marker (PEP 792); returns the serial, None where it already was so.

    Raises InvalidRequest for a status that the PEP does not know.
    """
    if status not in ProjectStatus.values:
        raise InvalidRequest(f"The status is one of {', '.join(ProjectStatus.values)}.")
    reason = clean_reason(reason)
    _require(who, project)
    with changing(project.index_id, project.index.slug, actor) as change:
        rows = Project.objects.filter(pk=project.pk)
        if not rows.exclude(status=status, status_reason=reason).update(status=status, status_reason=reason):
            _must_exist(rows.exists(), f"project '{project.name}'")
            return None
        pk = project.pk
        transaction.on_commit(lambda: copies_changed.send_robust(sender=None, project_id=pk) and None)
        return change.note(f"set status {status}", project, reason=reason)


def clean_reason(text: str) -> str:
    """The reason as one printable line, since it is shown in pages and terminals. Raises InvalidRequest if too long."""
    line = " ".join(text.split())
    if len(line) > REASON_LENGTH:
        raise InvalidRequest(f"A reason has at most {REASON_LENGTH} characters.")
    if not line.isprintable():
        raise InvalidRequest("A reason holds printable characters only.")
    return line


def _mark_file(actor: Actor, who: Who | None, file: File, *, yanked: bool, reason: str) -> int | None:
    project = file.release.project
    _require(who, project)
    with changing(project.index_id, project.index.slug, actor) as change:
        rows = File.objects.filter(pk=file.pk)
        if not rows.exclude(yanked=yanked, yanked_reason=reason).update(yanked=yanked, yanked_reason=reason):
            _must_exist(rows.exists(), f"file '{file.filename}'")
            return None
        _settle(file.release_id, reason)
        action = "yank file" if yanked else "unyank file"
        return change.note(action, project, version=file.release.version, filename=file.filename, reason=reason)


def _mark_release(actor: Actor, who: Who | None, release: Release, *, yanked: bool, reason: str) -> int | None:
    project = release.project
    _require(who, project)
    with changing(project.index_id, project.index.slug, actor) as change:
        own = Release.objects.filter(pk=release.pk)
        _must_exist(own.exists(), f"release {release.version} of '{project.name}'")
        changed = [
            rows.exclude(yanked=yanked, yanked_reason=reason).update(yanked=yanked, yanked_reason=reason)
            for rows in (own, File.objects.filter(release=release))
        ]
        return _note_release(change, project, release, yanked=yanked, reason=reason) if any(changed) else None


def _note_release(change: Change, project: Project, release: Release, *, yanked: bool, reason: str) -> int:
    action = "yank release" if yanked else "unyank release"
    return change.note(action, project, version=release.version, reason=reason)


def _settle(release_id: int, reason: str = "") -> None:
    """Keep the release's flag true to its files: yanked exactly where every file is."""
    release = Release.objects.filter(pk=release_id)
    if File.objects.filter(release_id=release_id, yanked=False).exists():
        release.filter(yanked=True).update(yanked=False, yanked_reason="")
    else:
        release.filter(yanked=False).update(yanked=True, yanked_reason=reason)


def _remove_files(index_id: int, which: Q) -> int:
    """Delete file rows and remember their names with the bytes they stood for; returns how many."""
    rows = File.objects.filter(which)
    place = "release__project"
    found = list(
        rows.values_list(
            *("filename", "blob_id", f"{place}_id", "size", "uploaded_by_id"),
            *(f"{place}__index__slug", f"{place}__normalized_name"),
        )
    )
    _retire(index_id, [(filename, sha256) for filename, sha256, *_ in found])
    facts = [
        FileFacts(index_id, project, sha256, size, user, f"{slug}/{name}")
        for _, sha256, project, size, user, slug, name in found
    ]
    announce(files_removed, facts)
    return rows.delete()[0]


def _retire(index_id: int, names: Iterable[tuple[str, str]]) -> None:
    retired = [RetiredFilename(index_id=index_id, filename=name, sha256=sha256) for name, sha256 in names]
    RetiredFilename.objects.bulk_create(
        retired,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["index", "filename"],
        update_fields=["sha256", "retired_at"],
    )


def _must_exist(exists: bool, what: str) -> None:
    if not exists:
        raise NotFound(f"There is no {what} here.")


def _require(who: Who | None, project: Project) -> None:
    if who is None:
        return
    place = Place(
        project.index_id, Visibility(project.index.visibility), project.pk, normalized_name=project.normalized_name
    )
    require(who, Action.MANAGE, place, f"project '{project.name}'")
