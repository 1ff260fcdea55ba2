"""The values of an upload: what arrived, what the form claims, what was accepted. Imports no Django."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkgindex.upload import filenames
from pkgindex.upload.errors import (
    ActionGone,
    InvalidDigest,
    InvalidPyversion,
    MissingField,
    RepeatedField,
    UnknownAction,
    UnknownFiletype,
    UnknownMetadataVersion,
    UnknownProtocol,
)

SDIST = "sdist"
WHEEL = "bdist_wheel"

# 2.0 was never approved, yet `wheel` wrote it for years and PyPI has the files.
METADATA_VERSIONS = frozenset({"1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"})
DIGEST_LENGTHS = {"md5_digest": 32, "sha256_digest": 64, "blake2_256_digest": 64}  # in hexadecimal digits

_GONE = {
    "submit": "Registering a project before the first upload is no longer needed or supported: upload its files.",
    "submit_pkg_info": "Registering a project before the first upload is no longer needed or supported: "
    "upload its files.",
    "doc_upload": "Uploading documentation is no longer supported.",
}
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+\Z")


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that arrived completely; digests in lower-case hexadecimal, BLAKE2b with 32 bytes."""

    path: Path
    size: int
    md5: str
    sha256: str
    blake2b: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What a client claims about its file; '' stands for a field that was not given."""

    filename: str
    filetype: str
    pyversion: str
    metadata_version: str
    name: str
    version: str
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Sequence[str]], filename: str) -> "Submission":
        """The claims of a form of the legacy upload API. Raises a subclass of InvalidUpload.

        White space around values does not count; '' and `UNKNOWN`, which distutils wrote for "not given", are absent.
        """
        form = _Form(fields)
        _check_protocol(form)
        claims = cls(
            metadata_version=form.required("metadata_version"),
            name=form.required("name"),
            version=form.required("version"),
            filetype=form.required("filetype"),
            pyversion=form.optional("pyversion"),
            filename=filename,
            digests={name: value for name in DIGEST_LENGTHS if (value := form.optional(name))},
        )
        _check_claims(claims)
        return claims

    @classmethod
    def from_file(cls, filename: str) -> "Submission":
        """The claims of a bare file: those of its name. Raises InvalidFilename."""
        parsed = filenames.parse(filename)
        return cls(
            filename=filename,
            filetype=WHEEL if filename.endswith(filenames.WHEEL_SUFFIX) else SDIST,
            pyversion=parsed.python,
            metadata_version="",
            name=parsed.name,
            version=str(parsed.version),
        )


@dataclass(frozen=True, slots=True)
class Distribution:
    """What was accepted: the truth from inside the archive."""

    filename: str
    packagetype: str  # `sdist` or `bdist_wheel`
    python_version: str  # the wheel's Python tags, or `source`
    name: str  # as the metadata writes it
    normalized_name: str
    version: str  # PEP 440's spelling, trailing zeros kept
    release_key: str
    requires_python: str
    summary: str
    description: str
    core: dict[str, Any]  # ready for JSON: the keys of `info` in PyPI's JSON, but for the description
    metadata_file: bytes | None  # what `.metadata` answers (PEP 658); None where an sdist's may change when built


class _Form:
    """Single-valued access to a form's fields."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def optional(self, name: str) -> str:
        """The field's value, or ''. Raises RepeatedField."""
        given = {value.strip() for value in self._fields.get(name, ())} - {"", "UNKNOWN"}
        if len(given) > 1:
            raise RepeatedField(f"{name}: given more than once, with different values.")
        return given.pop() if given else ""

    def required(self, name: str) -> str:
        """The field's value. Raises MissingField and RepeatedField."""
        value = self.optional(name)
        if not value:
            raise MissingField(f"{name}: This field is required.")
        return value


def _check_protocol(form: _Form) -> None:
    action = form.optional(":action")
    if action in _GONE:
        raise ActionGone(_GONE[action])
    if action != "file_upload":
        raise UnknownAction(f"Unknown :action {action[:50]!r}: only 'file_upload' is supported.")
    if form.optional("protocol_version") not in {"", "1"}:
        raise UnknownProtocol


def _check_claims(claims: Submission) -> None:
    if claims.metadata_version not in METADATA_VERSIONS:
        raise UnknownMetadataVersion(f"{claims.metadata_version[:50]!r} is not a valid metadata version.")
    if claims.filetype not in {SDIST, WHEEL}:
        raise UnknownFiletype(f"filetype: Unknown type of file {claims.filetype[:50]!r}.")
    if claims.filetype == WHEEL and not claims.pyversion:
        raise InvalidPyversion("Python version is required for binary distribution uploads.")
    if claims.filetype == SDIST and claims.pyversion not in {"", "source"}:
        raise InvalidPyversion("The only valid Python version for a sdist is 'source'.")
    if not claims.digests:
        raise InvalidDigest("Include at least one message digest.")
    for name, value in claims.digests.items():
        if len(value) != DIGEST_LENGTHS[name] or not _HEXADECIMAL.match(value):
            raise InvalidDigest(f"{name}: Use a valid, hex-encoded digest of {DIGEST_LENGTHS[name]} digits.")
