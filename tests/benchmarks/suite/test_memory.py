"""When memory counts as growing."""

import subprocess
import sys

import psutil
import pytest

from benchmarks.suite.memory import MIB, Watched, grown

FLAT, WARMING, LEAKING = [100] * 9, [10, 50, 90, 100, 100, 100, 101, 101, 101], [100 + 4 * n for n in range(9)]


@pytest.mark.parametrize(
    ("sizes", "mib", "too_much"),
    [
        (FLAT, 0, False),
        (WARMING, 1, False),  # the first third is left out
        (LEAKING, 12, True),
        ([20] * 6 + [24] * 3, 4, False),  # many percent, few MiB
        ([400] * 6 + [410] * 3, 10, False),  # many MiB, few percent
        ([100] * 6 + [106] * 3, 6, True),
        ([100] * 6 + [100, 400, 100], 0, False),  # one busy moment
        ([100] * 6 + [80] * 3, -20, False),
    ],
)
def test_growth_is_of_the_last_third_above_the_middle_one(sizes, mib, too_much):
    """Medians of thirds, and both a part and an amount."""
    found = grown("worker", [size * MIB for size in sizes])

    assert found.mib == pytest.approx(mib)
    assert found.too_much is too_much


def test_samples_are_of_each_process_and_of_all():
    """What stands in the table."""
    watched = Watched({"one": psutil.Process(), "same": psutil.Process()})
    for _ in range(3):
        watched.sample()

    assert [growth.name for growth in watched.growth()] == ["one", "same", "together"]
    assert watched.last()["together"] > watched.last()["one"] > 1


def test_a_process_that_ends_is_a_fault():
    """Its successor would begin small, and hide what it held."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    watched = Watched({"worker 1": psutil.Process(child.pid)})
    child.kill()
    child.communicate(timeout=10)

    with pytest.raises(RuntimeError, match="worker 1"):
        watched.sample()
