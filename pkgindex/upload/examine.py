"""Is this file what it claims to be, and may it come in? All checks that need neither database nor HTTP.

Imports no Django. What an archive's parser may trip over ends here: only InvalidUpload comes out.
"""

import hmac
import logging
from typing import BinaryIO

from packaging.version import Version

from pkgindex.catalog.names import normalize, release_key
from pkgindex.catalog.policy import IndexPolicy
from pkgindex.upload import filenames, metadata, rules
from pkgindex.upload.archive.sdist import SdistContent, read_sdist
from pkgindex.upload.archive.wheel import WheelContent, read_wheel
from pkgindex.upload.errors import (
    DigestMismatch,
    EmptyFile,
    FileTooLarge,
    InvalidCoreMetadata,
    InvalidUpload,
    UnreadableArchive,
)
from pkgindex.upload.metadata import CoreMetadata
from pkgindex.upload.submission import WHEEL, Distribution, Spooled, Submission

UNPACKED_FACTOR = 8  # an sdist may unpack to this many times the largest file that the index takes

log = logging.getLogger(__name__)


def check_early(submission: Submission, policy: IndexPolicy) -> None:
    """The rules that need the form only, so that a bad upload is refused before its file was read.

    Raises a subclass of InvalidUpload.
    """
    for rule in rules.EARLY:
        rule(submission, policy)


def examine(submission: Submission, spooled: Spooled, policy: IndexPolicy) -> Distribution:
    """Run every rule on a file that arrived; the distribution as its own metadata describes it.

    Memory does not grow with the file. Wheels take as long as they have members, whatever their size; sdists are
    unpacked once. Raises a subclass of InvalidUpload, and OSError where the spool file cannot be read.
    """
    check_early(submission, policy)
    _check_size(spooled, policy)
    _check_digests(submission, spooled)
    with spooled.path.open("rb") as file:
        content, found = _opened(submission, file, spooled.size, policy)
    for rule in rules.LATE:
        rule(submission, found, policy)
    return _distribution(submission, content, found)


def _check_size(spooled: Spooled, policy: IndexPolicy) -> None:
    if spooled.size > policy.max_file_bytes:
        raise FileTooLarge(policy.max_file_bytes)
    if not spooled.size:
        raise EmptyFile


def _check_digests(submission: Submission, spooled: Spooled) -> None:
    actual = {"md5_digest": spooled.md5, "sha256_digest": spooled.sha256, "blake2_256_digest": spooled.blake2b}
    for name, claimed in submission.digests.items():
        if not hmac.compare_digest(actual[name].encode(), claimed.lower().encode()):
            raise DigestMismatch(
                f"The digest supplied does not match a digest calculated from the uploaded file: {name}."
            )


def _opened(
    submission: Submission, file: BinaryIO, size: int, policy: IndexPolicy
) -> tuple[WheelContent | SdistContent, CoreMetadata]:
    """The archive's content and its metadata, while the file is open."""
    try:
        content = _content(submission, file, size, policy)
        found = metadata.parse(content.metadata)
    except (InvalidUpload, OSError):
        raise
    except Exception as error:  # a parser that fails on a stranger's bytes says something about the bytes
        log.warning("Parsing %s failed", submission.filename, exc_info=True)
        raise UnreadableArchive from error
    for path in found.core["license_files"]:
        if not content.has_license(path):
            raise InvalidCoreMetadata(f"Invalid metadata: License-File {path[:100]!r} does not exist in the archive.")
    return content, found


def _content(submission: Submission, file: BinaryIO, size: int, policy: IndexPolicy) -> WheelContent | SdistContent:
    name, version = normalize(submission.name), Version(submission.version)
    if submission.filetype == WHEEL:
        return read_wheel(file, size, name, version)
    return read_sdist(file, size, name, version, UNPACKED_FACTOR * policy.max_file_bytes)


def _distribution(submission: Submission, content: WheelContent | SdistContent, found: CoreMetadata) -> Distribution:
    is_wheel = submission.filetype == WHEEL
    return Distribution(
        filename=submission.filename,
        packagetype=submission.filetype,
        python_version=filenames.parse_wheel(submission.filename).python if is_wheel else "source",
        name=found.name,
        normalized_name=normalize(found.name),
        version=str(found.version),
        release_key=release_key(str(found.version)),
        requires_python=found.requires_python,
        summary=found.summary,
        description=found.description,
        core=found.core,
        metadata_file=content.metadata if is_wheel or found.is_static else None,
    )
