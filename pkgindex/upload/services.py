"""`publish`: the only way in which a file comes to be.

The order is the promise. Bytes are stored first, the file and its `.metadata`, each durable and under its digest, where
nobody can read it yet. Then one transaction adds the rows, and only those make the bytes readable. A crash in between
leaves bytes that garbage collection removes a day later.

What may be refused is judged before anything is stored, by a `Standing`. Inside the transaction, which holds the
journal, it is judged again only if the project was changed since.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db.models import Model
from django.utils import timezone

from pkgindex.accounts.grants import owning_new_project
from pkgindex.accounts.permissions import require
from pkgindex.accounts.roles import Action, Who
from pkgindex.audit.record import Actor
from pkgindex.blobs import store
from pkgindex.catalog.changes import Change, changing
from pkgindex.catalog.models import File, PackageType, Project, ProjectStatus, Release
from pkgindex.catalog.names import normalize
from pkgindex.catalog.policy import IndexView
from pkgindex.catalog.signals import FileFacts, announce, files_added
from pkgindex.prepared import Insert, Statement
from pkgindex.storage import Room
from pkgindex.upload.errors import FileExists, FilenameRetired, InvalidUpload, ProjectClosed, ReleaseClosed
from pkgindex.upload.standing import Standing, stand
from pkgindex.upload.submission import Distribution, Spooled

_add_project, _add_release, _add_file = Insert(Project), Insert(Release), Insert(File)
CLOSED = frozenset({ProjectStatus.ARCHIVED, ProjectStatus.QUARANTINED})


class SameContentExists(FileExists):
    """The same bytes are in the project under another filename."""

    code = "file_exists"

    def __init__(self, filename: str) -> None:
        InvalidUpload.__init__(self, f"File already exists (the same content as {filename!r}).")


class SdistExists(InvalidUpload):
    """The release has its sdist already."""

    code = "sdist_exists"

    def __init__(self) -> None:
        super().__init__("Only one sdist may be uploaded per release.")


@dataclass(frozen=True, slots=True)
class Published:
    """What `publish` did: `created` is False where the same file was there already."""

    created: bool


def publish(
    distribution: Distribution,
    spooled: Spooled,
    index: IndexView,
    who: Who | None,
    actor: Actor,
    room: Room | None = None,
    standing: Standing | None = None,
) -> Published:
    """Store an examined file and make it visible; the spooled file is consumed where it is stored.

    `who` is None where the operator acts, who may do everything. `room` is whose storage the file counts for, by
    default that of `who`. `standing` is of this file and saves looking it up. Uploading the same file again changes
    nothing, except that bytes which the storage lost are replaced. Raises what `require` raises, FileExists,
    FilenameRetired, ProjectClosed, ReleaseClosed, SdistExists, StorageFull, and InvalidUpload for values that are too
    long to keep; OSError and django.db.DatabaseError where storage or database fail, after which nothing of the file
    can be seen.
    """
    _check_lengths(distribution)
    if standing is None or standing.release_key != distribution.release_key:
        standing = _standing(distribution, spooled, index)
    found = _judge(distribution, spooled, index, who, standing)
    if found.present:
        store.put(_contents(distribution, spooled))
        return Published(created=False)
    room = room or Room.of(who, index.slug)
    with room.reserved(spooled.size, distribution.normalized_name) as keep:
        created = _add(distribution, spooled, index, who, actor, found)
        if created:
            keep()
    return Published(created)


def _add(
    distribution: Distribution, spooled: Spooled, index: IndexView, who: Who | None, actor: Actor, found: "_Found"
) -> bool:
    """Store the bytes and add the rows; False where somebody else did it meanwhile."""
    contents = _contents(distribution, spooled)
    store.put(contents)
    # What can be made ready beforehand does not make the next one wait for the journal.
    claims, rows = store.claiming(contents), _rows(found, distribution, spooled, index, actor)
    since = (found.serial, distribution.normalized_name)
    with changing(index.id, index.slug, actor, since) as change:
        if change.is_late:
            # Judged again: only inside do the answers still hold at the insert.
            found = _judge(distribution, spooled, index, who, _standing(distribution, spooled, index))
            rows = _rows(found, distribution, spooled, index, actor)
        change.send(*claims)
        if found.present:
            return False
        project = found.project
        if project is None:
            project = _create_project(change, index, distribution, actor, who)
            rows = _rows(replace(found, project=project), distribution, spooled, index, actor)
        change.send(*rows)
        version = found.release.version if found.release else distribution.version
        change.note("add file", project, version=version, filename=distribution.filename)
        place = f"{index.slug}/{project.normalized_name}"
        facts = FileFacts(index.id, project.pk, spooled.sha256, spooled.size, actor.user_id, place)
        announce(files_added, [facts])
    return True


def check(distribution: Distribution, spooled: Spooled, index: IndexView, who: Who | None) -> bool:
    """What `publish` would say now: True where the same file is there already; raises what it would raise."""
    _check_lengths(distribution)
    return _judge(distribution, spooled, index, who, _standing(distribution, spooled, index)).present


def require_upload(who: Who | None, index: IndexView, name: str, project_id: int | None) -> None:
    """Return where `who` may upload to the project; `project_id` is None for one yet to be created."""
    if who is not None:
        place = index.project_place(normalize(name), project_id)
        require(who, Action.UPLOAD, place, f"project '{name}'", realm=index.slug)


def _standing(distribution: Distribution, spooled: Spooled, index: IndexView) -> Standing:
    return stand(distribution.name, distribution.version, distribution.filename, spooled.sha256, index)


def _contents(distribution: Distribution, spooled: Spooled) -> list[store.Content]:
    contents = [store.Content(spooled.sha256, spooled.size, spooled.path)]
    data = distribution.metadata_file
    if data is not None:
        contents.insert(0, store.Content(hashlib.sha256(data).hexdigest(), len(data), data))
    return contents


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the file belongs, as far as it exists; `present` where the same file is there already."""

    serial: int
    project: Project | None
    release: Release | None = None
    present: bool = False


def _judge(
    distribution: Distribution, spooled: Spooled, index: IndexView, who: Who | None, standing: Standing
) -> _Found:
    """Raise where the upload is to be refused, else say where the file belongs."""
    project = standing.project
    require_upload(who, index, distribution.name, project.pk if project else None)
    if _is_there(distribution.filename, spooled, standing):
        return _Found(standing.serial, project, present=True)
    if project is not None and project.status in CLOSED:
        raise ProjectClosed(project.name, project.status)
    if standing.retired not in {"", spooled.sha256}:
        raise FilenameRetired
    if project is None:
        return _Found(standing.serial, None)
    release = standing.release
    if release is not None:
        _check_release(release, distribution, index.policy.close_releases_after_days)
    return _Found(standing.serial, project, release)


def _is_there(filename: str, spooled: Spooled, standing: Standing) -> bool:
    if standing.has(filename, spooled.sha256):
        return True
    for kept in standing.files:
        if kept.filename == filename:
            raise FileExists(kept.filename)
        if standing.is_in_project(kept):
            raise SameContentExists(kept.filename)
    return False


def _check_release(release: Release, distribution: Distribution, days: int | None) -> None:
    if days is not None and release.created_at < timezone.now() - timedelta(days=days):
        raise ReleaseClosed(days)
    if distribution.packagetype == PackageType.SDIST and release.files.filter(packagetype=PackageType.SDIST).exists():
        raise SdistExists


def _check_lengths(distribution: Distribution) -> None:
    """Refuse what the columns cannot hold, which SQLite would keep and PostgreSQL answer with an error."""
    values: list[tuple[type[Model], str, str]] = [
        (Project, "name", distribution.name),
        (Release, "version", distribution.version),
        (Release, "summary", distribution.summary),
        (File, "filename", distribution.filename),
        (File, "python_version", distribution.python_version),
        (File, "requires_python", distribution.requires_python),
    ]
    for model, column, value in values:
        field = model._meta.get_field(column)  # noqa: SLF001 - Django documents _meta as public
        most = getattr(field, "max_length", None)
        if most is not None and len(value) > most:
            raise InvalidUpload(f"{column}: use at most {most} characters.")


def _create_project(
    change: Change, index: IndexView, distribution: Distribution, actor: Actor, who: Who | None
) -> Project:
    project = _add_project(index_id=index.id, name=distribution.name, normalized_name=distribution.normalized_name)
    change.note("create project", project)
    if actor.user_id is not None:
        place = index.project_place(project.normalized_name, project.pk)
        change.send(*owning_new_project(actor, who, place, index.slug, actor.user_id))
    return project


def _rows(
    found: _Found, distribution: Distribution, spooled: Spooled, index: IndexView, actor: Actor
) -> list[Statement]:
    """What adds the file, and its release where there is none; nothing while its project does not exist."""
    if found.project is None or found.present:
        return []
    described = distribution.metadata_file
    fields = {
        "index_id": index.id,
        "filename": distribution.filename,
        "packagetype": distribution.packagetype,
        "python_version": distribution.python_version,
        "requires_python": distribution.requires_python,
        "blob_id": spooled.sha256,
        "metadata_blob_id": None if described is None else hashlib.sha256(described).hexdigest(),
        "size": spooled.size,
        "md5": spooled.md5,
        "blake2b": spooled.blake2b,
        "uploaded_at": timezone.now(),
        "uploaded_by_id": actor.user_id,
    }
    if found.release is not None:
        return [_add_file.statement(release=found.release, **fields)]
    return [_creating_release(found.project, distribution), _add_file.following("release", **fields)]


def _creating_release(project: Project, distribution: Distribution) -> Statement:
    return _add_release.statement(
        project=project,
        version=distribution.version,
        canonical_version=distribution.release_key,
        summary=distribution.summary,
        requires_python=distribution.requires_python,
        metadata=distribution.core,
        description=distribution.description,
    )
