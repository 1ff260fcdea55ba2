"""Weighted draws that the policies share. Pure: the random numbers come from the caller's generator."""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from math import log
from random import Random


def draw(weights: Sequence[float], random: Random) -> int:
    """A position, each with a chance in proportion to its weight; some weight must be above 0."""
    sums = list(accumulate(weights))
    position = bisect(sums, random.random() * sums[-1])
    if position < len(sums):
        return position
    # Rounding can carry the product up to the sum itself.
    return max(index for index, weight in enumerate(weights) if weight > 0)


def shuffled(weights: Sequence[float], random: Random) -> list[int]:
    """All positions in the order of repeated weighted draws without putting back (Efraimidis and Spirakis)."""
    times = [-log(1.0 - random.random()) / weight for weight in weights]
    return sorted(range(len(times)), key=times.__getitem__)
