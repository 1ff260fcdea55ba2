"""Catalogue rows for tests of what reads them: the files are real, only the upload's checks are left out."""

import hashlib

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from pkgindex.audit.record import SYSTEM
from pkgindex.blobs.models import Blob
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import File, Index, PackageType, Project, Release
from pkgindex.catalog.names import normalize, release_key
from tests.support.distributions import metadata, wheel


def _blob(data: bytes) -> Blob:
    digest = hashlib.sha256(data).hexdigest()
    path = f"{digest[:2]}/{digest[2:4]}/{digest[4:]}"
    if not storages["blobs"].exists(path):
        storages["blobs"].save(path, ContentFile(data))
    return Blob.objects.get_or_create(sha256=digest, defaults={"size": len(data), "claimed_at": timezone.now()})[0]


def add_wheel(
    index: Index, name: str = "acme", version: str = "1.0", *lines: str, extra: bytes = b"", **fields
) -> File:
    """Put a real wheel with its `.metadata` into the catalogue; `fields` override columns of its File row.

    `extra` is a file inside the wheel, to make it as large as a test needs.
    """
    filename, content = wheel(name, version, *lines, files={"extra.bin": extra} if extra else None)
    with changing(index.pk, index.slug, SYSTEM) as change:
        project, created = Project.objects.get_or_create(
            index=index, normalized_name=normalize(name), defaults={"name": name}
        )
        if created:
            change.note("create project", project)
        release, _ = Release.objects.get_or_create(
            project=project, canonical_version=release_key(version), defaults={"version": version, "summary": "A test."}
        )
        file = File.objects.create(
            **{
                "index": index,
                "release": release,
                "filename": filename,
                "packagetype": PackageType.WHEEL,
                "python_version": "py3",
                "blob": _blob(content),
                "metadata_blob": _blob(metadata(name, version, *lines)),
                "size": len(content),
                "md5": hashlib.md5(content).hexdigest(),
                "blake2b": hashlib.blake2b(content, digest_size=32).hexdigest(),
                "uploaded_at": timezone.now(),
            }
            | fields
        )
        change.note("add file", project, version=version, filename=filename)
    return file


def open_index() -> Index:
    """A public default index with a project `acme`."""
    made = Index.objects.create(slug="open", is_default=True, visibility="public")
    add_wheel(made)
    return made
