"""Why an upload is refused: one class a reason, each with a stable code and one sentence.

No code here is answered with 409: twine, poetry and pdm read any 409 as "this file exists, skip it" and would hide the
reason. Where clients or people match PyPI's words, the sentence begins with them. Imports no Django.
"""

from pkgindex.errors import ServiceError


class InvalidUpload(ServiceError):
    """Base of every refusal of an upload; raised itself where nothing more precise is true."""

    code = "invalid_upload"


class ActionGone(InvalidUpload):
    """An `:action` that the upload API once had."""

    code = "gone"


class UnknownAction(InvalidUpload):
    """An `:action` that the upload API never had, or none."""

    code = "unknown_action"


class UnknownProtocol(InvalidUpload):
    """A `protocol_version` other than 1."""

    code = "unknown_protocol_version"

    def __init__(self) -> None:
        super().__init__("Unknown protocol version.")


class MissingField(InvalidUpload):
    """The form lacks a field that every upload has."""

    code = "missing_field"


class RepeatedField(InvalidUpload):
    """The form gives a field twice with different values, so that it is anyone's guess which counts."""

    code = "repeated_field"


class UnknownMetadataVersion(InvalidUpload):
    """A Metadata-Version of which the standard says nothing."""

    code = "unknown_metadata_version"


class UnknownFiletype(InvalidUpload):
    """A `filetype` other than `sdist` and `bdist_wheel`, or one that does not fit the filename."""

    code = "unknown_filetype"


class InvalidPyversion(InvalidUpload):
    """A `pyversion` that does not fit the `filetype`."""

    code = "invalid_pyversion"


class InvalidDigest(InvalidUpload):
    """No digest was given, or one that is not hexadecimal of the right length."""

    code = "invalid_digest"


class DigestMismatch(InvalidUpload):
    """What arrived is not what the client says it sent."""

    code = "digest_mismatch"


class InvalidName(InvalidUpload):
    """A project name that the core metadata standard does not allow."""

    code = "invalid_name"


class InvalidVersion(InvalidUpload):
    """A version that PEP 440 does not allow, or that is too long to keep."""

    code = "invalid_version"


class LocalVersionRefused(InvalidUpload):
    """A local version (`1.0+team.1`) in an index whose policy is against them."""

    code = "local_version"


class InvalidFilename(InvalidUpload):
    """A filename that is unsafe, or that neither the wheel nor the sdist standard allows."""

    code = "invalid_filename"


class FilenameMismatch(InvalidUpload):
    """The filename names another project or version than the form or the metadata."""

    code = "filename_mismatch"


class PlatformRefused(InvalidUpload):
    """A platform tag that is unknown, or `linux_*` in an index whose policy is against it."""

    code = "platform_refused"


class FileTooLarge(InvalidUpload):
    """More bytes than the index takes; the sentence begins as PyPI's does, which people search for."""

    code = "file_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"File too large. This index takes files of up to {limit} bytes.")


class EmptyFile(InvalidUpload):
    """No bytes at all."""

    code = "empty_file"

    def __init__(self) -> None:
        super().__init__("The file is empty.")


class ZipRefused(InvalidUpload):
    """A zip archive that is broken, or that two programs could read as different things."""

    code = "invalid_zip"

    def __init__(self, reason: str) -> None:
        super().__init__(f"ZIP archive not accepted: {reason}.")


class TarRefused(InvalidUpload):
    """A gzip-compressed tar archive that is broken, unsafe or ambiguous."""

    code = "invalid_tar"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Tar archive not accepted: {reason}.")


class AmbiguousArchive(InvalidUpload):
    """A file that is a zip archive to one program and a tar archive to another."""

    code = "ambiguous_archive"

    def __init__(self) -> None:
        super().__init__("The file is both a ZIP and a tar archive.")


class DecompressionBomb(InvalidUpload):
    """An archive that unpacks to far more than its size lets expect."""

    code = "decompression_bomb"


class UnreadableArchive(InvalidUpload):
    """An archive on which a parser failed in a way that no other class names."""

    code = "unreadable_archive"

    def __init__(self) -> None:
        super().__init__("Invalid distribution file: it cannot be read.")


class InvalidWheel(InvalidUpload):
    """A sound zip archive that is not a wheel as the binary distribution format describes it."""

    code = "invalid_wheel"


class InvalidSdist(InvalidUpload):
    """A sound tar archive that is not a source distribution."""

    code = "invalid_sdist"


class InvalidCoreMetadata(InvalidUpload):
    """METADATA or PKG-INFO breaks the core metadata standard."""

    code = "invalid_metadata"


class MetadataMismatch(InvalidUpload):
    """The form or the filename says one thing and the metadata inside the archive another."""

    code = "metadata_mismatch"


class DirectReferenceRefused(InvalidUpload):
    """A requirement of the form `name @ url` in an index whose policy is against them."""

    code = "direct_reference"


class ClassifierRefused(InvalidUpload):
    """An unknown or deprecated classifier in an index whose policy is against them."""

    code = "invalid_classifier"


class FileExists(InvalidUpload):
    """The filename is taken by other bytes. Clients look for "already exist" to skip: the sentence begins with it."""

    code = "file_exists"

    def __init__(self, filename: str) -> None:
        super().__init__(f"File already exists ({filename!r}, with different content).")


class FilenameRetired(InvalidUpload):
    """The filename belonged to a file that was deleted, and these are not its bytes."""

    code = "filename_retired"

    def __init__(self) -> None:
        super().__init__(
            "This filename was previously used by a file that has since been deleted, and its content differs."
        )


class ProjectClosed(InvalidUpload):
    """The project's status (PEP 792: archived, quarantined) lets nothing in."""

    code = "project_closed"

    def __init__(self, name: str, status: str) -> None:
        super().__init__(f"Project {name!r} is {status} and takes no new files.")


class ReleaseClosed(InvalidUpload):
    """The release is older than the index's policy lets releases grow."""

    code = "release_closed"

    def __init__(self, days: int) -> None:
        super().__init__(f"Uploading new files to releases older than {days} days is not allowed.")
