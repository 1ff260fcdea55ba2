"""Core metadata of a distribution (1.0 to 2.6): parsed from METADATA or PKG-INFO, validated, made ready to be shown.

What installers resolve by (name, version, Requires-Python, Requires-Dist, Provides-Extra) must be right to the letter.
What only people read is taken as it is, however old the tool that wrote it: PyPI is full of fields newer than the
Metadata-Version beside them and of authors in Latin-1. Imports no Django.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from packaging.metadata import InvalidMetadata, Metadata, RawMetadata, parse_email
from packaging.requirements import Requirement
from packaging.version import Version

from pkgindex.catalog.names import is_valid_name
from pkgindex.upload.errors import InvalidCoreMetadata
from pkgindex.upload.filenames import MAX_VERSION_LENGTH
from pkgindex.upload.submission import METADATA_VERSIONS

MAX_HEAD = 2 << 20  # bytes of all headers; a long description stands after them
MAX_HEADERS = 20_000
MAX_HEADER_NAMES = 200  # the parser looks through all headers once for every name
# Characters of one value, where a parser or a column bounds what is sensible.
MAX_LENGTHS = {
    "name": 200,
    "version": MAX_VERSION_LENGTH,
    "requires_python": 500,
    "requires_dist": 10_000,
    "provides_extra": 200,
    "license_expression": 2_000,
    "license_files": 1_000,
    "description_content_type": 200,
    "dynamic": 100,
    "import_names": 1_000,
    "import_namespaces": 1_000,
    "classifiers": 500,
    "home_page": 2_000,
    "download_url": 2_000,
}
MAX_SUMMARY = 512
REPORTED_ERRORS = 3

_CRUCIAL = frozenset({"metadata-version", "name", "version", "requires-python", "requires-dist", "provides-extra"})
_ALWAYS_LISTS = ("classifiers", "requires_dist", "provides_extra", "license_files", "dynamic", "import_names",
                 "import_namespaces", "platforms")  # fmt: skip
_STRINGS = ("author", "author_email", "maintainer", "maintainer_email", "license", "license_expression", "summary",
            "description_content_type", "home_page", "download_url", "requires_python")  # fmt: skip
# Written before they had a meaning, by setuptools above all: they count from these versions on.
_ADDED = {"dynamic": "2.2", "license_expression": "2.4", "license_files": "2.4", "import_names": "2.5",
          "import_namespaces": "2.5"}  # fmt: skip
_RESOLVED_BY = frozenset({"requires-dist", "requires-python", "provides-extra", "requires-external"})
_SCRIPTS = re.compile(r"(?:javascript|data|vbscript):", re.IGNORECASE)
_IGNORED = re.compile(r"[\s\x00-\x20]+")  # by browsers, within a URL's scheme
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_BREAK = re.compile(rb"\r\n|\r|\n")
_HEADER = re.compile(rb"[!-9;-~]*:|[\t ]")  # email.feedparser's: a field, or another's next line


@dataclass(frozen=True, slots=True)
class CoreMetadata:
    """The metadata of one file."""

    metadata_version: str
    name: str
    version: Version
    requires_python: str
    summary: str
    description: str
    requirements: tuple[Requirement, ...]
    core: dict[str, Any]  # see submission.Distribution.core

    @property
    def is_static(self) -> bool:
        """True where a build cannot change what installers resolve by: 2.2 or newer, none of it Dynamic (PEP 643)."""
        dynamic = {name.lower() for name in self.core["dynamic"]}
        return _age(self.metadata_version) >= (2, 2) and not dynamic & _RESOLVED_BY


def parse(data: bytes) -> CoreMetadata:
    """Read METADATA or PKG-INFO. Raises InvalidCoreMetadata, which names the first few fields that are wrong."""
    head, body = _split(data)
    raw, unparsed = parse_email(head)
    fields: dict[str, Any] = dict(raw)
    for name, values in unparsed.items():
        _take_unparsed(fields, name, values)
    if body:
        fields["description"] = body.decode("utf-8", "replace")
    fields = _tidied(fields)
    version = _metadata_version(fields)
    for name, added in _ADDED.items():
        if _age(version) < _age(added):
            fields.pop(name, None)
    _check_lengths(fields)
    valid = _validated(fields)
    _check_storable(fields)
    return CoreMetadata(
        metadata_version=version,
        name=fields["name"],
        version=valid.version,
        requires_python=" ".join(fields.get("requires_python", "").split()),
        summary=fields.get("summary", ""),
        description=fields.get("description", ""),
        requirements=tuple(valid.requires_dist or ()),
        core=_core(fields, version, str(valid.version)),
    )


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The headers and the description after them, found as the standard library's e-mail parser finds them.

    The parser is then shown the headers alone: it would hold every line of the description, parse it for parts where
    a Content-Type says so, and take the square of the number of headers.
    """
    names, count, at = set(), 0, 0
    while at < len(data):
        end = _BREAK.search(data, at)
        line_end, following = (end.start(), end.end()) if end else (len(data), len(data))
        if line_end == at:
            return data[:at], data[following:]
        match = _HEADER.match(data, at)
        if match is None:
            return data[:at], data[at:]
        if data[at] not in b"\t ":
            count += 1
            names.add(match[0].lower())
        if count > MAX_HEADERS or len(names) > MAX_HEADER_NAMES or following > MAX_HEAD:
            raise InvalidCoreMetadata("Invalid metadata: it has too many fields, or too long ones.")
        at = following
    return data, b""


def _take_unparsed(fields: dict[str, Any], name: str, values: list[Any]) -> None:
    """What the parser could not fit in: wrong where it matters, the best guess where only people read it."""
    if name in _CRUCIAL:
        raise InvalidCoreMetadata(f"Invalid metadata: {name} is given more than once or is not valid UTF-8.")
    values = [value for value in values if isinstance(value, str)]
    if not values:
        return
    if name == "keywords":
        fields["keywords"] = [",".join(values)]
    elif name == "project-url":
        pairs = (value.partition(",") for value in values)
        fields["project_urls"] = {label.strip(): url.strip() for label, _, url in pairs}
    elif (field := name.replace("-", "_")) in {*_STRINGS, "description"}:
        fields[field] = values[0]
    elif name in {"classifier", "platform"}:
        fields[f"{field}s"] = values


def _tidied(fields: dict[str, Any]) -> dict[str, Any]:
    """Without white space around values, and without fields that say nothing."""
    return {name: kept for name, value in fields.items() if (kept := _tidy(name, value))}


def _tidy(name: str, value: Any) -> Any:
    if name == "description":
        return "" if value.strip() == "UNKNOWN" else value
    if isinstance(value, str):
        return "" if value.strip() == "UNKNOWN" else value.strip()
    if isinstance(value, list):
        return [item.strip() for item in value if item.strip() not in {"", "UNKNOWN"}]
    return {label: url for label, url in value.items() if label != "UNKNOWN"}


def _metadata_version(fields: dict[str, Any]) -> str:
    version = str(fields.get("metadata_version", ""))
    if version not in METADATA_VERSIONS:
        raise InvalidCoreMetadata(f"Invalid metadata: {version[:50]!r} is not a valid metadata version.")
    return version


def _age(metadata_version: str) -> tuple[int, int]:
    major, _, minor = metadata_version.partition(".")
    return int(major), int(minor)


def _check_lengths(fields: dict[str, Any]) -> None:
    for name, limit in MAX_LENGTHS.items():
        value = fields.get(name, "")
        if any(len(item) > limit for item in ([value] if isinstance(value, str) else value)):
            raise InvalidCoreMetadata(f"Invalid metadata: {_label(name)} is longer than {limit} characters.")
    if len(fields.get("summary", "")) > MAX_SUMMARY:
        raise InvalidCoreMetadata(f"Invalid metadata: 'summary' field must be {MAX_SUMMARY} characters or less.")


def _validated(fields: dict[str, Any]) -> Metadata:
    """The values as `packaging` understands them. It is told the newest version: fields may be older than theirs."""
    newest = cast(RawMetadata, fields | {"metadata_version": "2.6"})
    errors = list(_own_errors(fields))
    try:
        valid = Metadata.from_raw(newest)
    except ExceptionGroup as group:
        errors += [(error.field, str(error)) for error in group.exceptions if isinstance(error, InvalidMetadata)]
    except RecursionError as error:
        raise InvalidCoreMetadata("Invalid metadata: a field is nested too deeply.") from error
    if errors:
        errors.sort(key=lambda error: (error[0] != "name", error[0] != "version", error))  # PyPI's order
        shown = "; ".join(" ".join(message.split())[:200] for _, message in errors[:REPORTED_ERRORS])
        raise InvalidCoreMetadata(f"Invalid metadata: {shown}.")
    return valid


def _own_errors(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the standard or an index asks for beyond `packaging`, as (field, message)."""
    if not is_valid_name(fields.get("name", "")):
        yield "name", f"{fields.get('name', '')!r} is invalid for 'name'"
    if "license" in fields and "license_expression" in fields:
        yield "license", "License and License-Expression are mutually exclusive"
    urls = [("home-page", fields.get("home_page", "")), ("download-url", fields.get("download_url", ""))]
    urls += [("project-url", url) for url in fields.get("project_urls", {}).values()]
    for name, url in urls:
        if _SCRIPTS.match(_IGNORED.sub("", url)):
            yield name, f"{url[:50]!r} is not a valid url"


def _check_storable(fields: dict[str, Any]) -> None:
    """Databases and JSON take neither NUL nor halves of surrogate pairs."""
    for name, value in fields.items():
        items = [value] if isinstance(value, str) else [*value, *value.values()] if isinstance(value, dict) else value
        if any(_UNSTORABLE.search(item) for item in items):
            raise InvalidCoreMetadata(f"Invalid metadata: {_label(name)} holds a character that is not text.")


def _label(name: str) -> str:
    return name.replace("_", "-")


def _core(fields: dict[str, Any], metadata_version: str, version: str) -> dict[str, Any]:
    core: dict[str, Any] = {name: fields.get(name, "") for name in _STRINGS}
    core |= {name: list(fields.get(name, ())) for name in _ALWAYS_LISTS if name != "platforms"}
    core |= {
        "metadata_version": metadata_version,
        "name": fields["name"],
        "version": version,
        "keywords": ",".join(fields.get("keywords", ())),
        "platform": ", ".join(fields.get("platforms", ())),
        "project_urls": dict(fields.get("project_urls", {})),
        "requires_python": " ".join(core["requires_python"].split()),
        "requires_dist": [" ".join(item.split()) for item in core["requires_dist"]],
    }
    return core
