"""Which release is the latest, and the shape of the document."""

import json
from datetime import UTC, datetime

import pytest

from pkgindex.pypi_json.build import Document, FileFacts, ReleaseFacts, build, latest

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def a_file(**fields) -> FileFacts:
    facts = {
        "filename": "acme-1.0-py3-none-any.whl",
        "packagetype": "bdist_wheel",
        "python_version": "py3",
        "sha256": "ab" + "cd" + "e" * 60,
        "blake2b": "b" * 64,
        "md5": "d" * 32,
        "size": 7,
        "uploaded_at": MOMENT,
        "requires_python": "",
        "metadata_sha256": "f" * 64,
        "yanked": False,
        "yanked_reason": "",
    }
    return FileFacts(**facts | fields)


def a_release(version: str, *, yanked: bool = False, files: list[FileFacts] | None = None) -> ReleaseFacts:
    return ReleaseFacts(1, version, yanked, "", "", "", files or [])


@pytest.mark.parametrize(
    ("releases", "expected"),
    [
        (["1.0", "1.10", "1.9"], "1.10"),
        (["1.0", "2.0rc1"], "1.0"),
        (["1.0", "2.0.dev1", "1.0.post1"], "1.0.post1"),
        (["1.0a1", "1.0b1"], "1.0b1"),
        (["1.0", "2.0!"], "1.0"),
        (["1.0!", "2.0!"], "2.0"),
        (["1.0rc1", "1.0!"], "1.0rc1"),
        (["old-style", "0.1a1"], "0.1a1"),
        (["1!0.1", "2.0"], "1!0.1"),
    ],
)
def test_latest(releases, expected):
    """Not yanked (here marked by an end of `!`) comes first, then no pre-release, then the highest."""
    given = [a_release(v.removesuffix("!"), yanked=v.endswith("!")) for v in releases]

    assert latest(given).version == expected


def test_release_is_yanked_when_all_its_files_are():
    """A release counts as yanked by its own mark or by that of each file; without files only by its own."""
    assert a_release("1", files=[a_file(yanked=True)]).yanked
    assert not a_release("1", files=[a_file(yanked=True), a_file()]).yanked
    assert not a_release("1").yanked


def test_document_is_exact():
    """Every member of PyPI's document is there with its type."""
    release = a_release("1.0", files=[a_file(yanked=True, yanked_reason="bad")])
    core = {"author": "A. Author", "keywords": "a,b", "requires_dist": ["six"], "project_urls": {"Docs": "https://x"}}
    document = Document("Acme", "acme", 9, release, core, "# Acme", [release], [{"role": "Owner", "user": "ann"}])

    assert json.loads(build(document, "http://host/", "http://host/p/acme/")) == {
        "info": {
            "author": "A. Author",
            "author_email": "",
            "bugtrack_url": None,
            "classifiers": [],
            "description": "# Acme",
            "description_content_type": "",
            "docs_url": None,
            "download_url": "",
            "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
            "dynamic": None,
            "home_page": "",
            "keywords": "a,b",
            "license": "",
            "license_expression": None,
            "license_files": None,
            "maintainer": "",
            "maintainer_email": "",
            "name": "Acme",
            "package_url": "http://host/p/acme/",
            "platform": None,
            "project_url": "http://host/p/acme/",
            "project_urls": {"Docs": "https://x"},
            "provides_extra": None,
            "release_url": "http://host/p/acme/1.0/",
            "requires_dist": ["six"],
            "requires_python": None,
            "summary": "",
            "version": "1.0",
            "yanked": True,
            "yanked_reason": None,
        },
        "last_serial": 9,
        "ownership": {"organization": None, "roles": [{"role": "Owner", "user": "ann"}]},
        "releases": {"1.0": [FILE]},
        "urls": [FILE],
        "vulnerabilities": [],
    }


FILE = {
    "comment_text": "",
    "core-metadata": {"sha256": "f" * 64},
    "digests": {"blake2b_256": "b" * 64, "md5": "d" * 32, "sha256": "abcd" + "e" * 60},
    "downloads": -1,
    "filename": "acme-1.0-py3-none-any.whl",
    "has_sig": False,
    "md5_digest": "d" * 32,
    "packagetype": "bdist_wheel",
    "python_version": "py3",
    "requires_python": None,
    "size": 7,
    "upload_time": "2026-03-04T05:06:07",
    "upload_time_iso_8601": "2026-03-04T05:06:07.000089Z",
    "url": f"http://host/packages/ab/cd/{'e' * 60}/acme-1.0-py3-none-any.whl",
    "yanked": True,
    "yanked_reason": "bad",
}
