"""Core metadata: strict where installers resolve, kind where people read."""

import time

import pytest

from pkgindex.upload.metadata import parse
from pkgindex.upload.submission import METADATA_VERSIONS
from tests.support import distributions as dist
from tests.support.spoiled import sdist_tar, upload, wheel_with_metadata, with_file

WHEEL = "acme-1.0-py3-none-any.whl"
FULL = dist.metadata(
    "Ac.me",
    "1.0.0",
    "Summary: Does it",
    "Keywords: a, b",
    "Home-page: https://example.org",
    "Download-URL: https://example.org/x",
    "Author: Ä",
    "Author-email: a@example.org",
    "Maintainer: M",
    "Maintainer-email: m@example.org",
    "License-Expression: MIT",
    "License-File: LICENSE",
    "Classifier: Private :: Do Not Upload",
    "Classifier: Topic :: Utilities",
    "Platform: Linux",
    "Platform: UNKNOWN",
    "Requires-Python: >=3.9,",
    "Requires-Dist: six (>=1.0)",
    "Requires-Dist: other [x] ; extra == 'all'",
    "Provides-Extra: all",
    "Project-URL: Docs, https://example.org/docs",
    "Description-Content-Type: text/markdown",
    "Import-Name: acme",
    "Dynamic: Description",
    description="# Acme\n\nText\n",
    core="2.5",
)


def test_every_field():
    """All fields that PyPI's JSON shows come out, under its names."""
    found = parse(FULL)
    assert found.core == {
        "metadata_version": "2.5",
        "name": "Ac.me",
        "version": "1.0.0",
        "summary": "Does it",
        "keywords": "a,b",
        "home_page": "https://example.org",
        "download_url": "https://example.org/x",
        "author": "Ä",
        "author_email": "a@example.org",
        "maintainer": "M",
        "maintainer_email": "m@example.org",
        "license": "",
        "license_expression": "MIT",
        "license_files": ["LICENSE"],
        "classifiers": ["Private :: Do Not Upload", "Topic :: Utilities"],
        "platform": "Linux",
        "requires_python": ">=3.9,",
        "requires_dist": ["six (>=1.0)", "other [x] ; extra == 'all'"],
        "provides_extra": ["all"],
        "project_urls": {"Docs": "https://example.org/docs"},
        "description_content_type": "text/markdown",
        "import_names": ["acme"],
        "import_namespaces": [],
        "dynamic": ["Description"],
    }
    assert found.description == "# Acme\n\nText\n"
    assert (found.requires_python, found.summary) == (">=3.9,", "Does it")


@pytest.mark.parametrize("core", sorted(METADATA_VERSIONS))
def test_every_version(core):
    """Each version that files on PyPI have is read, with fields that are newer than it."""
    found = parse(dist.metadata("acme", "1.0", "Requires-Dist: six", "Requires-Python: >=2.7", core=core))
    assert (found.metadata_version, found.core["requires_dist"], found.requires_python) == (core, ["six"], ">=2.7")


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ("License-File: ../../LICENSE", "license_files", []),
        ("License-Expression: whatever", "license_expression", ""),
        ("Dynamic: Nonsense", "dynamic", []),
        ("Summary: UNKNOWN", "summary", ""),
        ("Description-Content-Type: UNKNOWN", "description_content_type", ""),
        ("Home-page: UNKNOWN", "home_page", ""),
        ("Author: One\nAuthor: Two", "author", "One"),
        ("Project-URL: A, https://a\nProject-URL: A, https://b", "project_urls", {"A": "https://b"}),
        ("Keywords: a\nKeywords: b", "keywords", "a,b"),
        ("License: MIT\n        and more", "license", "MIT\n        and more"),
        ("X-Unheard-Of: yes", "author", ""),
        ("Requires-Python: >=3.8,\n  <4", "requires_python", ">=3.8, <4"),
    ],
)
def test_oddities_of_old_tools(line, field, expected):
    """What setuptools and wheel wrote before the standard said so does not keep a file out."""
    assert parse(dist.metadata("acme", "1.0", line)).core[field] == expected


def test_latin_1():
    """An author or a description in another encoding is shown as well as it can be; the bytes stay as they are."""
    found = parse(b"Metadata-Version: 1.1\nName: acme\nVersion: 1.0\nAuthor: Andr\xe9\n\nd\xe9j\xe0\n")
    assert found.core["author"] == "André"
    assert found.description == "d\ufffdj\ufffd\n"


def test_description_in_header_and_body():
    """Where both are given the body, which newer tools write, counts."""
    assert parse(dist.metadata("acme", "1.0", "Description: old", description="new")).description == "new"
    assert parse(dist.metadata("acme", "1.0", "Description: old")).description == "old"


def test_the_description_is_only_text():
    """A description is never taken apart or decoded, whatever kind of message the headers claim to be."""
    body = "--x\n\nPart: 1\n--x--\nMetadata-Version: 9\n"
    lines = ("Content-Type: multipart/mixed; boundary=x", "Content-Transfer-Encoding: base64")
    assert parse(dist.metadata("acme", "1.0", *lines, description=body)).description == body
    assert parse(dist.metadata("acme", "1.0") + b"no field\nName: other\n").description == "no field\nName: other\n"


def test_line_ends_of_windows():
    """METADATA with carriage returns is read alike."""
    found = parse(FULL.replace(b"\n", b"\r\n"))
    assert (found.core["name"], found.requires_python) == ("Ac.me", ">=3.9,")


def test_large_metadata_is_quick(tmp_path):
    """A README of a megabyte and thousands of requirements are legal and cost little."""
    lines = [line for n in range(2000) for line in (f"Provides-Extra: e{n}", f'Requires-Dist: a{n}; extra == "e{n}"')]
    data = dist.metadata("acme", "1.0", *lines, description="word " * 300_000)
    began = time.monotonic()
    accepted = upload(tmp_path, WHEEL, wheel_with_metadata(data))
    assert time.monotonic() - began < 10
    assert len(accepted.description) == 1_500_000
    assert accepted.metadata_file == data


@pytest.mark.parametrize(
    ("core", "lines", "is_static"),
    [
        ("2.1", [], False),
        ("2.2", [], True),
        ("2.4", ["Dynamic: License-File", "Dynamic: Description"], True),
        ("2.4", ["Dynamic: Requires-Dist"], False),
        ("2.4", ["Dynamic: provides-extra"], False),
        ("2.6", ["Dynamic: REQUIRES-PYTHON"], False),
    ],
)
def test_an_sdist_offers_its_metadata_only_where_a_build_cannot_change_it(tmp_path, core, lines, is_static):
    """`.metadata` of an sdist is its PKG-INFO to the byte from 2.2 on, unless what is resolved by is dynamic."""
    filename, content = dist.sdist("acme", "1.0", *lines, core=core)
    accepted = upload(tmp_path, filename, content)
    expected = dist.metadata("acme", "1.0", *lines, core=core)
    assert accepted.metadata_file == (expected if is_static else None)


@pytest.mark.parametrize("path", ["licenses/LICENSE", "LICENSE", "license_files/LICENSE"])
def test_licence_files_are_found_where_tools_put_them(tmp_path, path):
    """PEP 639's folder, and the two places before it."""
    content = with_file(path, b"MIT", core="2.4")
    members_metadata = dist.metadata("acme", "1.0", "License-File: LICENSE", core="2.4")
    from tests.support.distributions import wheel_members, zip_of

    members = wheel_members(core="2.4") | {"acme-1.0.dist-info/METADATA": members_metadata}
    members[f"acme-1.0.dist-info/{path}"] = b"MIT"
    assert upload(tmp_path, WHEEL, zip_of(members)).core["license_files"] == ["LICENSE"]
    assert upload(tmp_path, WHEEL, content).core["license_files"] == []


def test_an_sdist_without_a_named_licence_file_is_refused(tmp_path):
    """The same is asked of an sdist, from its root."""
    from pkgindex.upload.errors import InvalidCoreMetadata
    from tests.support.spoiled import TarMember

    filename, content = dist.sdist("acme", "1.0", "License-File: docs/LICENSE", core="2.4")
    with pytest.raises(InvalidCoreMetadata, match="does not exist"):
        upload(tmp_path, filename, content)
    members = dist.sdist_members("acme", "1.0", "License-File: docs/LICENSE", core="2.4")
    members["acme-1.0/docs/LICENSE"] = b"MIT"
    assert upload(tmp_path, filename, dist.tar_of(members)).core["license_files"] == ["docs/LICENSE"]
    assert upload(tmp_path, filename, sdist_tar(TarMember("acme-1.0/LICENSE", b"MIT"))).core["license_files"] == []
