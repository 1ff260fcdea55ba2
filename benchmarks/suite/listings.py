"""Rows of huge listings, without files: `python listings.py '{"projects": {name: files}, "indexes": {slug: names}}'`.

Run with the environment of an installation whose web processes are not started yet.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

AT_A_TIME = 5_000


def main() -> None:
    """Insert what the argument names."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkgindex.settings")
    import django  # noqa: PLC0415 - the path is set above

    django.setup()
    wanted = json.loads(sys.argv[1])
    for name, count in wanted["projects"].items():
        project(name, count)
    for slug, count in wanted["indexes"].items():
        index(slug, count)


def project(name: str, count: int) -> None:
    """A project of the default index with that many releases of one wheel each."""
    from pkgindex.blobs.models import Blob  # noqa: PLC0415 - Django is set up
    from pkgindex.catalog.models import File, Index, Project, Release  # noqa: PLC0415 - as above

    home, now = Index.objects.get(is_default=True), datetime(2026, 1, 1, tzinfo=UTC)
    row = Project.objects.create(index=home, name=name, normalized_name=name, last_serial=home.last_serial or 1)
    digests = [hashlib.sha256(f"{name} {number}".encode()).hexdigest() for number in range(count)]
    insert(Blob, (Blob(sha256=each, size=2_000, claimed_at=now) for each in digests))
    versions = [f"1.{number}" for number in range(count)]
    insert(Release, (Release(project=row, version=each, canonical_version=each) for each in versions))
    keys = dict(Release.objects.filter(project=row).values_list("version", "pk"))
    stem = name.replace("-", "_")
    insert(
        File,
        (
            File(
                index=home, release_id=keys[version], filename=f"{stem}-{version}-py3-none-any.whl",
                packagetype="bdist_wheel", python_version="py3", blob_id=digest, metadata_blob_id=digest, size=2_000,
                md5="0" * 32, blake2b=digest, uploaded_at=now,
            )
            for version, digest in zip(versions, digests, strict=True)
        ),
    )  # fmt: skip


def index(slug: str, count: int) -> None:
    """An index with that many projects."""
    from pkgindex.catalog.models import Index, Project  # noqa: PLC0415 - Django is set up

    row = Index.objects.create(slug=slug, title=slug, last_serial=1)
    names = (f"project-{number}" for number in range(count))
    insert(Project, (Project(index=row, name=each, normalized_name=each, last_serial=1) for each in names))


def insert(model: Any, rows: Iterable[Any]) -> None:
    """Insert in pieces."""
    for piece in pieces(rows):
        model.objects.bulk_create(piece, batch_size=500)


def pieces(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists of rows that fit in memory."""
    source = iter(rows)
    while piece := list(islice(source, AT_A_TIME)):
        yield piece


if __name__ == "__main__":
    main()
