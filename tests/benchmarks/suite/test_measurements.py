"""The rows of the table keep what every row promises."""

import inspect

import pytest

from benchmarks.suite.corpus import Corpus
from benchmarks.suite.measurements import PARTS, chosen
from benchmarks.suite.measurements.base import Measurement


@pytest.mark.parametrize("quick", [False, True])
def test_rows_have_what_is_called(tmp_path, quick):
    """No field of a row hides a method that the run calls, and no two rows have one key."""
    rows = chosen(list(PARTS), Corpus(tmp_path), quick=quick)

    assert len({row.key for row in rows}) == len(rows) > 10
    for row in rows:
        for name, _ in inspect.getmembers(Measurement, inspect.isfunction):
            assert callable(getattr(row, name)), f"{row.title}: {name}"
