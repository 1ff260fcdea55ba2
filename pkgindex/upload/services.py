"""`publish`: the only way in which a file comes to be.

The order is the promise. Bytes are stored first, the `.metadata` file before the file it describes, each durable and
under its digest, where nobody can read it yet. Then one transaction adds the rows, and only those make the bytes
readable. A crash in between leaves bytes that garbage collection removes a day later.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Model, Q
from django.utils import timezone

from pkgindex.accounts.grants import grant_role
from pkgindex.accounts.models import User
from pkgindex.accounts.permissions import require
from pkgindex.accounts.roles import Action, Rank, Who
from pkgindex.audit.record import Actor
from pkgindex.blobs import store
from pkgindex.blobs.models import Blob
from pkgindex.catalog.changes import Change, changing
from pkgindex.catalog.models import File, PackageType, Project, ProjectStatus, Release, RetiredFilename
from pkgindex.catalog.names import normalize
from pkgindex.catalog.policy import IndexView
from pkgindex.catalog.signals import FileFacts, announce, files_added
from pkgindex.storage import Room
from pkgindex.upload.errors import FileExists, FilenameRetired, InvalidUpload, ProjectClosed, ReleaseClosed
from pkgindex.upload.submission import Distribution, Spooled, Submission

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
) -> Published:
    """Store an examined file and make it visible; the spooled file is consumed where it is stored.

    `who` is None where the operator acts, who may do everything. `room` is whose storage the file counts for, by
    default that of `who`. Uploading the same file again changes nothing, except that bytes which the storage lost are
    replaced. Raises what `require` raises, FileExists, FilenameRetired, ProjectClosed, ReleaseClosed, SdistExists,
    StorageFull, and InvalidUpload for values that are too long to keep; OSError and django.db.DatabaseError where
    storage or database fail, after which nothing of the file can be seen.
    """
    if check(distribution, spooled, index, who):
        _store(distribution, spooled)
        return Published(created=False)
    room = room or Room.of(who, index.slug)
    with room.reserved(spooled.size, distribution.normalized_name) as keep:
        created = _add(distribution, spooled, index, who, actor)
        if created:
            keep()
    return Published(created)


def _add(distribution: Distribution, spooled: Spooled, index: IndexView, who: Who | None, actor: Actor) -> bool:
    """Store the bytes and add the rows; False where somebody else did it meanwhile."""
    blob, metadata_blob = _store(distribution, spooled)
    with changing(index.id, index.slug, actor) as change:
        # Everything is judged again: only inside do the answers still hold at the insert.
        found = _judge(distribution, spooled, index, who)
        if found.present:
            return False
        project = found.project or _create_project(change, index, distribution, actor)
        release = found.release or _create_release(project, distribution)
        File.objects.create(
            index_id=index.id,
            release=release,
            filename=distribution.filename,
            packagetype=distribution.packagetype,
            python_version=distribution.python_version,
            requires_python=distribution.requires_python,
            blob=blob,
            metadata_blob=metadata_blob,
            size=spooled.size,
            md5=spooled.md5,
            blake2b=spooled.blake2b,
            uploaded_at=timezone.now(),
            uploaded_by_id=actor.user_id,
        )
        change.note("add file", project, version=release.version, filename=distribution.filename)
        place = f"{index.slug}/{project.normalized_name}"
        facts = FileFacts(index.id, project.pk, spooled.sha256, spooled.size, actor.user_id, place)
        announce(files_added, [facts])
    return True


def check(distribution: Distribution, spooled: Spooled, index: IndexView, who: Who | None) -> bool:
    """What `publish` would say now: True where the same file is there already; raises what it would raise."""
    _check_lengths(distribution)
    return _judge(distribution, spooled, index, who).present


def is_published(submission: Submission, spooled: Spooled, index: IndexView) -> bool:
    """True where exactly this file is in that project and its bytes are in the storage: nothing is left to do."""
    if submission.digests.get("sha256_digest", spooled.sha256).lower() != spooled.sha256:
        return False
    file = (
        File.objects.select_related("blob", "metadata_blob")
        .filter(index_id=index.id, filename=submission.filename, blob_id=spooled.sha256)
        .filter(release__project__normalized_name=normalize(submission.name))
        .first()
    )
    if file is None:
        return False
    blobs = [blob for blob in (file.blob, file.metadata_blob) if blob is not None]
    return all(store.is_whole(blob.sha256, blob.size) for blob in blobs)


def require_upload(who: Who | None, index: IndexView, name: str, project_id: int | None) -> None:
    """Return where `who` may upload to the project; `project_id` is None for one yet to be created."""
    if who is not None:
        place = index.project_place(normalize(name), project_id)
        require(who, Action.UPLOAD, place, f"project '{name}'", realm=index.slug)


def _store(distribution: Distribution, spooled: Spooled) -> tuple[Blob, Blob | None]:
    metadata_blob = None
    if distribution.metadata_file is not None:
        digest = hashlib.sha256(distribution.metadata_file).hexdigest()
        metadata_blob = store.put_bytes(distribution.metadata_file, digest)
    return store.put_file(spooled.path, spooled.sha256, spooled.size), metadata_blob


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the file belongs, as far as it exists; `present` where the same file is there already."""

    project: Project | None
    release: Release | None = None
    present: bool = False


def _judge(distribution: Distribution, spooled: Spooled, index: IndexView, who: Who | None) -> _Found:
    """Raise where the upload is to be refused, else say where the file belongs."""
    name = distribution.normalized_name
    project = Project.objects.filter(index_id=index.id, normalized_name=name).first()
    require_upload(who, index, distribution.name, project.pk if project else None)
    if _is_there(distribution, spooled, index, project):
        return _Found(project, present=True)
    if project is not None and project.status in CLOSED:
        raise ProjectClosed(project.name, project.status)
    retired = RetiredFilename.objects.filter(index_id=index.id, filename=distribution.filename).first()
    if retired is not None and retired.sha256 != spooled.sha256:
        raise FilenameRetired
    if project is None:
        return _Found(None)
    release = Release.objects.filter(project=project, canonical_version=distribution.release_key).first()
    if release is not None:
        _check_release(release, distribution, index.policy.close_releases_after_days)
    return _Found(project, release)


def _is_there(distribution: Distribution, spooled: Spooled, index: IndexView, project: Project | None) -> bool:
    same = Q(filename=distribution.filename) | Q(blob_id=spooled.sha256)
    for file in File.objects.filter(same, index_id=index.id).select_related("release"):
        in_project = project is not None and file.release.project_id == project.pk
        if file.filename == distribution.filename:
            if in_project and file.blob_id == spooled.sha256:
                return True
            raise FileExists(file.filename)
        if in_project:
            raise SameContentExists(file.filename)
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


def _create_project(change: Change, index: IndexView, distribution: Distribution, actor: Actor) -> Project:
    project = Project.objects.create(
        index_id=index.id, name=distribution.name, normalized_name=distribution.normalized_name
    )
    change.note("create project", project)
    owner = User.objects.filter(pk=actor.user_id).first() if actor.user_id is not None else None
    if owner is not None:
        place = index.project_place(project.normalized_name, project.pk)
        grant_role(actor, None, place, f"project '{index.slug}/{project.normalized_name}'", owner, Rank.OWNER.value)
    return project


def _create_release(project: Project, distribution: Distribution) -> Release:
    return Release.objects.create(
        project=project,
        version=distribution.version,
        canonical_version=distribution.release_key,
        summary=distribution.summary,
        requires_python=distribution.requires_python,
        metadata=distribution.core,
        description=distribution.description,
    )
