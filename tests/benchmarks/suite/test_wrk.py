"""What wrk prints is read with its units."""

import pytest

from benchmarks.suite.wrk import percentile

SAID = """\
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.15ms  329.04us   5.32ms   86.78%
  Latency Distribution
     50%  229.00us
     75%    1.20ms
     90%    1.00s
     99%    1.02m
  8610 requests in 10.00s, 1.35MB read
"""


@pytest.mark.parametrize(("which", "milliseconds"), [(50, 0.229), (75, 1.2), (90, 1_000), (99, 61_200)])
def test_percentiles_are_milliseconds(which, milliseconds):
    """Whatever unit wrk chose."""
    assert percentile(SAID, which) == pytest.approx(milliseconds)


def test_a_percentile_that_is_not_there_is_a_fault():
    """Nothing is guessed."""
    with pytest.raises(RuntimeError, match="95"):
        percentile(SAID, 95)
