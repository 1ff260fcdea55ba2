"""Choices behind the pages, and core metadata read as hostile."""

import pytest

from pkgindex.web.pages import Facts, VersionMark, facts, file_path, latest, sort_versions


def marks(*versions):
    """Marks for versions; a leading ~ means yanked."""
    return [VersionMark(n, text.lstrip("~"), text.startswith("~")) for n, text in enumerate(versions)]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["1.0", "1.10", "1.9"], "1.10"),
        (["1.0", "2.0rc1"], "1.0"),
        (["1.0", "~2.0"], "1.0"),
        (["1.0rc1", "~2.0"], "1.0rc1"),
        (["2.0.dev1", "1.0b2"], "2.0.dev1"),
        (["~1.0", "~2.0", "~3.0a1"], "2.0"),
        (["1.0", "1!0.1"], "1!0.1"),
        (["not a version", "0.1"], "0.1"),
        (["not a version"], "not a version"),
    ],
)
def test_latest_is_chosen_as_pypi_does(versions, expected):
    """Not yanked comes first, then final, then highest."""
    assert latest(marks(*versions)).version == expected


def test_no_release_has_no_latest():
    """A project without releases has none that stands for it."""
    assert latest([]) is None


def test_versions_are_sorted_by_number():
    """1.10 stands above 1.9, and what is no version below all."""
    assert [m.version for m in sort_versions(marks("1.9", "odd", "1.10", "1.10rc1"))] == [
        "1.10",
        "1.10rc1",
        "1.9",
        "odd",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt://x%0aalert(1)",
        "data:text/html,x",
        "//evil.example/",
        "/relative",
        "https://",
        "https://[broken",
        "http://a b.example/",
        "https://a.example/\nX: y",
        "vbscript:x",
        "x" * 2_000,
        "",
        None,
        7,
        ["https://a.example"],
    ],
)
def test_only_web_addresses_become_links(url):
    """Every other scheme, nonsense and every other type is left out."""
    assert facts({"project_urls": {"Home": url}, "home_page": url}).links == ()


def test_links_are_kept_once_and_in_order():
    """The homepage leads; an address that comes twice is shown once; the number is bounded."""
    urls = {f"L{n}": f"https://a.example/{n}" for n in range(100)}

    links = facts({"home_page": "https://a.example/0", "project_urls": urls}).links

    assert [link.label for link in links[:2]] == ["Homepage", "L1"]
    assert len(links) == 30


@pytest.mark.parametrize("metadata", [None, [], "text", 7, {}, {"license": 3, "author": {}, "requires_dist": "six"}])
def test_any_shape_of_metadata_gives_facts(metadata):
    """What an uploader may have left in the column never breaks a page."""
    assert facts(metadata) == Facts()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"author": "Ann", "author_email": "ann@a.example"}, "Ann <ann@a.example>"),
        ({"author": "Ann"}, "Ann"),
        ({"author": "Ann", "author_email": "Ann <ann@a.example>"}, "Ann <ann@a.example>"),
    ],
)
def test_author_is_name_and_address(metadata, expected):
    """Both where both are given."""
    assert facts(metadata).author == expected


def test_file_path_names_the_content():
    """The address begins with /packages/ and is quoted."""
    assert file_path("ab" * 32, "a+b.whl").startswith("/packages/ab/ab/abab")
    assert file_path("ab" * 32, "a+b.whl").endswith("/a%2Bb.whl")
