"""Making a lost `.metadata` blob again from the file that it was taken from."""

import hashlib
from typing import BinaryIO, cast

from packaging.version import Version

from pkgindex.blobs import store
from pkgindex.catalog.models import File, PackageType
from pkgindex.catalog.names import normalize
from pkgindex.upload.archive.sdist import read_sdist
from pkgindex.upload.archive.wheel import read_wheel
from pkgindex.upload.errors import InvalidUpload

UNPACKED_FACTOR = 64  # the file was accepted once; this bounds the work only


def rebuild_metadata(file: File) -> bool:
    """Store the metadata of a wheel or sdist again; False where the file cannot be read or says something else now.

    Nothing is written unless the digest is the advertised one.
    """
    if file.metadata_blob_id is None:
        return False
    name, version = normalize(file.release.project.name), Version(file.release.version)
    try:
        with store.open_blob(file.blob_id) as stored:
            opened = cast("BinaryIO", stored)
            if file.packagetype == PackageType.WHEEL:
                data = read_wheel(opened, file.size, name, version).metadata
            else:
                data = read_sdist(opened, file.size, name, version, UNPACKED_FACTOR * file.size).metadata
    except (OSError, InvalidUpload):
        return False
    if hashlib.sha256(data).hexdigest() != file.metadata_blob_id:
        return False
    store.replace_bytes(data, file.metadata_blob_id)
    return True
