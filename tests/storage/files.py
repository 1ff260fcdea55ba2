"""Files of one size, and how storage stands."""

import zipfile

from pkgindex.blobs import store as blobs
from pkgindex.blobs.models import Blob
from pkgindex.catalog.models import File, Project, Release
from tests.support.distributions import wheel_members, zip_of
from throttling import usage
from throttling.subjects import Caller

MIB = 1 << 20


def used(**caller) -> list[int]:
    return [row.used for row in usage.of_caller(Caller(**caller)) if row.unit == "storage-bytes"]


def user(person) -> dict[str, str]:
    return {"user": str(person.pk)}


def nothing_left(settings) -> bool:
    """No row, no blob, no bytes in the storage, nothing in the spool."""
    spool = list(settings.SPOOL_DIR.iterdir()) if settings.SPOOL_DIR.exists() else []
    rows = [model.objects.exists() for model in (File, Release, Project, Blob)]
    return not (spool or any(rows) or list(blobs.walk()))


def even(name: str = "acme", version: str = "1.0") -> tuple[str, bytes]:
    """A wheel whose size depends on the length of its name and version alone: the tests count in files."""
    return f"{name}-{version}-py3-none-any.whl", zip_of(wheel_members(name, version), zipfile.ZIP_STORED)


FILES = [even(version=f"{number}.0") for number in range(1, 10)]
SIZE = len(FILES[0][1])


def fail(*_args, **_kwargs):
    raise OSError(28, "No space left on device")
