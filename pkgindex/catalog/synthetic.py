"""Rows of invented projects, as many as one likes, to see how the service does with a large index. Development only.

Files share a few small blobs, one for each class of size, so that a million of them fill no disk and every one can be
downloaded. Equal parameters make equal rows but for times.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.utils import timezone

from pkgindex.audit.record import Actor
from pkgindex.blobs import store
from pkgindex.catalog.changes import changing
from pkgindex.catalog.models import File, Index, PackageType, Project, Release
from pkgindex.catalog.names import release_key

SIZES = (1 << 10, 4 << 10, 64 << 10, 1 << 20)  # bytes
METADATA = b"Metadata-Version: 2.1\nName: synthetic\nVersion: 0\n"
MOST_FILES = 400  # of an ordinary project
FILES_OF_RELEASE = 3
FILES_OF_LARGE_RELEASE = 20
BATCH_FILES = 5_000  # of one transaction
ROWS = 2_000  # of one INSERT
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "macosx_11_0_arm64", "win_amd64")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A project to invent."""

    name: str
    files: int
    files_of_release: int = FILES_OF_RELEASE


@dataclass(frozen=True, slots=True)
class Class:
    """What every file of a class of size is."""

    content: store.Content
    md5: str
    blake2b: str


def wanted(projects: int, files: int, *, large: int = 0, seed: str = "0") -> list[Wanted]:
    """Names and numbers of files: a few projects have many files and most have few, as in any index.

    `large` files more go into one project of its own. Raises ValueError where `files` are not enough or too many.
    """
    if not 0 < projects <= files <= projects * MOST_FILES:
        raise ValueError(f"There is a project, and every project has at least one file and at most {MOST_FILES}.")
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    weights = [min(dice.paretovariate(1.2), 100.0) for _ in range(projects)]
    share = (files - projects) / sum(weights)
    counts = [min(MOST_FILES, 1 + int(weight * share)) for weight in weights]
    left, at = files - sum(counts), 0
    while left:
        more = min(MOST_FILES - counts[at], -(-left // projects))
        counts[at] += more
        left -= more
        at = (at + 1) % projects
    found = [Wanted(f"synthetic-{seed}-{number:06}", count) for number, count in enumerate(counts)]
    return [*found, Wanted(f"synthetic-{seed}-large", large, FILES_OF_LARGE_RELEASE)] if large else found


def batches(projects: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """The projects in transactions of a moderate size, a large one alone."""
    batch: list[Wanted] = []
    files = 0
    for project in projects:
        if batch and files + project.files > BATCH_FILES:
            yield batch
            batch, files = [], 0
        batch.append(project)
        files += project.files
    if batch:
        yield batch


def load(index: Index, batch: Sequence[Wanted], actor: Actor) -> int:
    """Make those projects of a batch that are not there yet, with releases and files; returns how many files.

    One transaction: a project is there with all its files or not at all, so an interrupted load can be repeated.
    """
    contents = [_metadata(), *(one.content for one in _classes())]
    store.put(contents)
    with changing(index.pk, index.slug, actor) as change:
        store.claim(contents)
        names = [one.name for one in batch]
        there = set(Project.objects.filter(index=index, normalized_name__in=names).values_list("name", flat=True))
        new = [one for one in batch if one.name not in there]
        if not new:
            return 0
        projects = [Project(index=index, name=one.name, normalized_name=one.name) for one in new]
        change.create_many(projects)
        releases = [
            Release(project=project, version=version, canonical_version=key, summary="Invented.")
            for one, project in zip(new, projects, strict=True)
            for version, key in _versions(-(-one.files // one.files_of_release))
        ]
        saved = iter(Release.objects.bulk_create(releases, batch_size=ROWS))
        files = [file for one in new for file in _files(index, one, saved)]
        File.objects.bulk_create(files, batch_size=ROWS)
    return len(files)


def _files(index: Index, one: Wanted, releases: Iterator[Release]) -> Iterator[File]:
    now = timezone.now()
    classes, metadata = _classes(), _metadata().sha256
    release = None
    stem = one.name.replace("-", "_")
    for number in range(one.files):
        place = number % one.files_of_release
        if place == 0:
            release = next(releases)
        assert release is not None  # noqa: S101 - the first place is 0
        chosen = classes[(number * 7 + len(release.version)) % len(classes)]
        kind, python, ending = _tags(place)
        yield File(
            index=index,
            release=release,
            filename=f"{stem}-{release.version}{ending}",
            packagetype=kind,
            python_version=python,
            requires_python=">=3.9",
            blob_id=chosen.content.sha256,
            metadata_blob_id=metadata if kind == PackageType.WHEEL else None,
            size=chosen.content.size,
            md5=chosen.md5,
            blake2b=chosen.blake2b,
            uploaded_at=now - timedelta(seconds=number),
        )


@cache
def _tags(place: int) -> tuple[str, str, str]:
    """Type, Python tag and the end of the name of a release's file."""
    if place == 0:
        return PackageType.SDIST, "source", ".tar.gz"
    python = f"cp3{9 + (place - 1) // len(PLATFORMS)}"
    platform = PLATFORMS[(place - 1) % len(PLATFORMS)]
    return PackageType.WHEEL, python, f"-{python}-{python}-{platform}.whl"


def _versions(count: int) -> Iterator[tuple[str, str]]:
    return (_version(number) for number in range(count))


@cache
def _version(number: int) -> tuple[str, str]:
    text = f"{1 + number // 100}.{number // 10 % 10}.{number % 10}"
    return text, release_key(text)


@cache
def _classes() -> tuple[Class, ...]:
    return tuple(_class((b"synthetic %d\n" % size * size)[:size]) for size in SIZES)


@cache
def _metadata() -> store.Content:
    return store.Content(hashlib.sha256(METADATA).hexdigest(), len(METADATA), METADATA)


def _class(data: bytes) -> Class:
    return Class(
        store.Content(hashlib.sha256(data).hexdigest(), len(data), data),
        hashlib.md5(data, usedforsecurity=False).hexdigest(),
        hashlib.blake2b(data, digest_size=32).hexdigest(),
    )
