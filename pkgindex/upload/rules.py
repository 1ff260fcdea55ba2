"""The rules of an upload in their order: small functions that say nothing or raise. Imports no Django.

A new rule is a function here and its place in one of the two lists: EARLY needs the form only, LATE also what the
archive says.
"""

from collections.abc import Callable

from packaging.version import InvalidVersion as NotPep440
from packaging.version import Version
from trove_classifiers import classifiers as known_classifiers
from trove_classifiers import deprecated_classifiers

from pkgindex.catalog.names import is_valid_name, normalize
from pkgindex.catalog.policy import IndexPolicy
from pkgindex.upload import filenames
from pkgindex.upload.errors import (
    ClassifierRefused,
    DirectReferenceRefused,
    FilenameMismatch,
    InvalidName,
    InvalidVersion,
    LocalVersionRefused,
    MetadataMismatch,
    PlatformRefused,
    UnknownFiletype,
)
from pkgindex.upload.metadata import CoreMetadata
from pkgindex.upload.submission import SDIST, WHEEL, Submission

MAX_NAME_LENGTH = 200
SUFFIXES = {SDIST: filenames.SDIST_SUFFIX, WHEEL: filenames.WHEEL_SUFFIX}

EarlyRule = Callable[[Submission, IndexPolicy], None]
LateRule = Callable[[Submission, CoreMetadata, IndexPolicy], None]


def name_is_valid(claims: Submission, _policy: IndexPolicy) -> None:
    """The project's name follows the core metadata standard (PEP 508). Raises InvalidName."""
    if not is_valid_name(claims.name) or len(claims.name) > MAX_NAME_LENGTH:
        raise InvalidName(
            f"Invalid name {claims.name[:50]!r}: it must start and end with a letter or numeral and contain only "
            "ASCII letters, numerals and '.', '_' and '-'."
        )


def version_is_valid(claims: Submission, policy: IndexPolicy) -> None:
    """The version follows PEP 440, and is local only where the policy allows. Raises InvalidVersion and others."""
    if len(claims.version) > filenames.MAX_VERSION_LENGTH:
        raise InvalidVersion(f"Invalid version: it is longer than {filenames.MAX_VERSION_LENGTH} characters.")
    try:
        version = Version(claims.version)
    except NotPep440 as error:
        raise InvalidVersion(f"Invalid version {claims.version!r}: it does not follow PEP 440.") from error
    if version.local and not policy.allow_local_versions:
        raise LocalVersionRefused(f"The use of local versions in {claims.version!r} is not allowed.")


def filename_fits_filetype(claims: Submission, _policy: IndexPolicy) -> None:
    """An sdist is a `.tar.gz` (PEP 625 ended zip files), a wheel a `.whl`. Raises InvalidFilename, UnknownFiletype."""
    filenames.check_plain(claims.filename)
    suffix = SUFFIXES.get(claims.filetype)
    if suffix is None or not claims.filename.endswith(suffix):
        raise UnknownFiletype(f"Invalid file extension: a {claims.filetype} must be named '*{suffix}'.")


def filename_names_release(claims: Submission, _policy: IndexPolicy) -> None:
    """The filename is of this project and version. Raises InvalidFilename, FilenameMismatch.

    Names are compared normalised and versions by PEP 440, so `Foo.Bar-1.0.tar.gz` passes for `foo-bar`: PEP 625 asks
    for `foo_bar`, but files of before it keep their names when they move from another index, and installers find them.
    """
    name, version = normalize(claims.name), Version(claims.version)
    if claims.filetype == SDIST:
        stem = claims.filename.removesuffix(filenames.SDIST_SUFFIX)
        matches = filenames.names_release(stem, name, version)
    else:
        parsed = filenames.parse_wheel(claims.filename)
        matches = normalize(parsed.name) == name and parsed.version == version
    if not matches:
        raise FilenameMismatch(
            f"Invalid filename {claims.filename!r}: it does not name the project {claims.name!r} "
            f"and the version {claims.version!r}."
        )


def platforms_are_allowed(claims: Submission, policy: IndexPolicy) -> None:
    """Every platform tag of a wheel is of a known shape. Raises PlatformRefused."""
    if claims.filetype == SDIST:
        return
    for platform in filenames.parse_wheel(claims.filename).platforms:
        linux = policy.allow_linux_platform and filenames.is_linux(platform)
        if not linux and not filenames.is_known_platform(platform):
            raise PlatformRefused(f"Binary wheel {claims.filename!r} has an unsupported platform tag {platform!r}.")


def metadata_agrees(claims: Submission, found: CoreMetadata, _policy: IndexPolicy) -> None:
    """The archive's name and version are those of the form. Raises MetadataMismatch."""
    if normalize(found.name) != normalize(claims.name):
        raise MetadataMismatch(f"The metadata inside names the project {found.name!r}, the upload {claims.name!r}.")
    if found.version != Version(claims.version):
        raise MetadataMismatch(
            f"The metadata inside names the version {str(found.version)!r}, the upload {claims.version!r}."
        )


def requirements_are_allowed(_claims: Submission, found: CoreMetadata, policy: IndexPolicy) -> None:
    """No requirement is a direct reference, where the policy is against them. Raises DirectReferenceRefused."""
    if policy.allow_direct_references:
        return
    for requirement in found.requirements:
        if requirement.url is not None:
            raise DirectReferenceRefused(f"Can't have direct dependency: {str(requirement)[:200]!r}.")


def classifiers_are_allowed(_claims: Submission, found: CoreMetadata, policy: IndexPolicy) -> None:
    """Every classifier is in the published list or private, where the policy asks for it. Raises ClassifierRefused."""
    if policy.allow_unknown_classifiers:
        return
    for classifier in found.core["classifiers"]:
        if classifier.startswith("Private :: "):
            continue
        if classifier in deprecated_classifiers:
            raise ClassifierRefused(f"The classifier {classifier!r} has been deprecated.")
        if classifier not in known_classifiers:
            raise ClassifierRefused(f"{classifier!r} is not a valid classifier.")


EARLY: tuple[EarlyRule, ...] = (
    name_is_valid,
    version_is_valid,
    filename_fits_filetype,
    filename_names_release,
    platforms_are_allowed,
)
LATE: tuple[LateRule, ...] = (
    metadata_agrees,
    requirements_are_allowed,
    classifiers_are_allowed,
)
