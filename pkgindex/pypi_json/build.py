"""The JSON of a project in the shape of PyPI's JSON API, as bandersnatch and many scripts read it. No Django."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from packaging.version import Version

from pkgindex.catalog.names import version_key
from pkgindex.catalog.paths import file_path

TEXTS = (
    "author",
    "author_email",
    "description_content_type",
    "download_url",
    "home_page",
    "keywords",
    "license",
    "maintainer",
    "maintainer_email",
)
OPTIONAL = (
    "license_expression",
    "license_files",
    "platform",
    "project_urls",
    "requires_dist",
    "provides_extra",
    "dynamic",
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file. Digests are lower-case hex, `uploaded_at` is aware, `size` is bytes."""

    filename: str
    packagetype: str
    python_version: str
    sha256: str
    blake2b: str
    md5: str
    size: int
    uploaded_at: datetime
    requires_python: str
    metadata_sha256: str | None
    yanked: bool
    yanked_reason: str


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """A release and its files."""

    id: int
    version: str
    marked_yanked: bool
    yanked_reason: str
    summary: str
    requires_python: str
    files: list[FileFacts]

    @property
    def yanked(self) -> bool:
        """True where the release is, or each of its files."""
        return self.marked_yanked or (bool(self.files) and all(file.yanked for file in self.files))


@dataclass(frozen=True, slots=True)
class Document:
    """Everything that the JSON of a project or a release says; `releases` is None for a single release."""

    name: str
    normalized_name: str
    serial: int
    shown: ReleaseFacts
    metadata: dict[str, Any]
    description: str
    releases: list[ReleaseFacts] | None
    roles: list[dict[str, str]]


def latest(releases: list[ReleaseFacts]) -> ReleaseFacts:
    """The release that the project's document shows: one that is not yanked, no pre-release, the highest."""

    def key(release: ReleaseFacts) -> tuple[bool, bool, tuple[int, Version | str]]:
        kind, version = version_key(release.version)
        stable = isinstance(version, Version) and not version.is_prerelease
        return (not release.yanked, stable, (kind, version))

    return max(releases, key=key)


def build(document: Document, root: str, page: str) -> bytes:
    """The document as bytes; `root` is the absolute URL of the application, `page` that of the project's page."""
    data: dict[str, Any] = {
        "info": _info(document, page),
        "last_serial": document.serial,
        "ownership": {"organization": None, "roles": document.roles},
    }
    if document.releases is not None:
        ordered = sorted(document.releases, key=lambda release: version_key(release.version))
        data["releases"] = {release.version: _files(release, root) for release in ordered}
    data["urls"] = _files(document.shown, root)
    data["vulnerabilities"] = []
    return json.dumps(data, separators=(",", ":")).encode()


def _info(document: Document, page: str) -> dict[str, Any]:
    release, core = document.shown, document.metadata
    return (
        {name: core.get(name) or "" for name in TEXTS}
        | {name: core.get(name) or None for name in OPTIONAL}
        | {
            "name": document.name,
            "version": release.version,
            "summary": release.summary or core.get("summary") or "",
            "description": document.description,
            "classifiers": core.get("classifiers") or [],
            "requires_python": release.requires_python or core.get("requires_python") or None,
            "bugtrack_url": None,
            "docs_url": None,
            "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
            "package_url": page,
            "project_url": page,
            "release_url": f"{page}{release.version}/",
            "yanked": release.yanked,
            "yanked_reason": (release.yanked_reason or None) if release.yanked else None,
        }
    )


def _files(release: ReleaseFacts, root: str) -> list[dict[str, Any]]:
    return [_file(file, release, root) for file in release.files]


def _file(file: FileFacts, release: ReleaseFacts, root: str) -> dict[str, Any]:
    uploaded = file.uploaded_at.astimezone(UTC)
    yanked = file.yanked or release.marked_yanked
    return {
        "comment_text": "",
        "core-metadata": {"sha256": file.metadata_sha256} if file.metadata_sha256 else False,
        "digests": {"blake2b_256": file.blake2b, "md5": file.md5, "sha256": file.sha256},
        "downloads": -1,
        "filename": file.filename,
        "has_sig": False,
        "md5_digest": file.md5,
        "packagetype": file.packagetype,
        "python_version": file.python_version,
        "requires_python": file.requires_python or None,
        "size": file.size,
        "upload_time": uploaded.strftime("%Y-%m-%dT%H:%M:%S"),
        "upload_time_iso_8601": uploaded.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "url": root + file_path(file.sha256, file.filename),
        "yanked": yanked,
        "yanked_reason": (file.yanked_reason or release.yanked_reason or None) if yanked else None,
    }
