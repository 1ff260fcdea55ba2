"""The reference tells the truth: every test that it names exists, every setting has its line."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from balancing.conf import Conf

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/balancing.md"
ROOT = Path(__file__).parent


def named():
    """(file, test) for every test in the table; a name without a file is in the file named before it in its row."""
    for line in PAGE.read_text("utf-8").partition("## What other balancers have")[2].splitlines():
        file = ""
        for text in re.findall(r"`((?:[\w/]+\.py::)?(?:Test\w+::)?test_\w+)`", line):
            head, _, name = text.rpartition(".py::")
            file = head or file
            yield f"{file}.py", name


@pytest.mark.parametrize(("file", "name"), sorted(set(named())))
def test_named_test_exists(file, name):
    """As a function, in the class that is named."""
    text = (ROOT / file).read_text("utf-8")
    for part in name.split("::"):
        assert re.search(rf"^ *(?:def|class) {part}\b", text, re.MULTILINE), f"{file} has no {part}"


def test_table_names_tests():
    """The pattern above still finds them."""
    assert len(set(named())) > 25


@pytest.mark.parametrize("key", [item.name.upper() for item in fields(Conf)])
def test_setting_has_its_line(key):
    """What can be set is told."""
    assert f"`{key}`" in PAGE.read_text("utf-8")
