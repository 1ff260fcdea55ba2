"""What the documents name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
NAMES = sorted({found for path in ROOT.glob("docs/**/*.md") for found in NAMED.findall(path.read_text())})


def test_documents_name_tests():
    """The pattern finds them, so that the table below is not empty by mistake."""
    assert len(NAMES) > 40


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_tests_that_documents_name_exist(file, name):
    """Whoever renames a test renames it in the documents too."""
    path = ROOT / file

    assert path.is_file()
    assert re.search(rf"^def {name}\(", path.read_text(), re.MULTILINE)
