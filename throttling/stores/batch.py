"""Several decisions that are asked for at once: what the script has to be asked, and what each learns of that. Pure.

Who only looks at the same lines sees the same. Who takes from the same lines takes together: one call for the sum of
their costs. Where that passes, each would have passed, one after the other, and what each would have been told follows
from the sum; where it does not, the script has charged nothing, and is asked for each alone.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from throttling.lines import Answer, Asking, Line, Outcome, Verb

# Charges of these add up, and what they are told is arithmetic: GCRA, windows; who is banned is charged nothing.
SUMMABLE = frozenset("gfcx")
TAKE = Verb.TAKE
MOST = 1 << 52  # a cost that the script computes with exactly is below


class Part(NamedTuple):
    """What `times` requests ask in the same words."""

    verb: Verb
    lines: tuple[Line, ...]
    times: int = 1

    @property
    def is_sum(self) -> bool:
        """Whether it takes for more than one."""
        return self.times > 1 and self.verb is TAKE

    @property
    def asked(self) -> tuple[Line, ...]:
        """The lines of the one call for all."""
        return _summed(self.lines, self.times) if self.is_sum else self.lines

    def learnt(self, answer: Answer) -> list[Answer]:
        """What each is told, one after the other, of the answer to all; of a sum it must be one that passed."""
        if not self.is_sum:
            return [answer] * self.times
        refused_by, now, each, degraded, beside = answer
        told = [_one_by_one(line, one, self.times) for line, one in zip(self.lines, each, strict=True)]
        return [Answer(refused_by, now, outcomes, degraded, beside) for outcomes in zip(*told, strict=True)]


Place = int | None  # which part a request belongs to; None: it asks nothing of the script


def arranged(askings: Sequence[Asking]) -> tuple[list[Part], list[Place]]:
    """The calls to be made, and which of them each asking belongs to."""
    times: list[int] = []
    first: list[Asking] = []
    places: list[Place] = []
    known: dict[tuple[Verb, tuple[Line, ...]], int] = {}
    for one in askings:
        if not one.lines:
            places.append(None)
            continue
        place = known.setdefault((one.verb, one.lines), len(first))
        if place < len(first) and not _may_share(one, times[place] + 1):
            place = len(first)
        if place == len(first):
            first.append(one)
            times.append(0)
        times[place] += 1
        places.append(place)
    return [Part(one.verb, one.lines, count) for one, count in zip(first, times, strict=True)], places


def _may_share(asking: Asking, times: int) -> bool:
    if asking.verb is Verb.TEST:
        return True
    # A limit that only watches is charged while it passes: of a sum that does not, nobody knows for how many it would.
    return asking.verb is TAKE and times < _most_together(asking.lines)


@lru_cache(maxsize=4_096)
def _most_together(lines: tuple[Line, ...]) -> float:
    """How many may take from these lines together, and one more; 0 where none may."""
    if not all(line.kind in SUMMABLE and line.enforce for line in lines):
        return 0
    dearest = max(line.cost for line in lines)
    return MOST / dearest if dearest else math.inf


@lru_cache(maxsize=4_096)
def _summed(lines: tuple[Line, ...], times: int) -> tuple[Line, ...]:
    return tuple([line._replace(cost=line.cost * times) for line in lines])


def _one_by_one(line: Line, sum_: Outcome, times: int) -> list[Outcome]:
    """What `times` takes in the same microsecond are told of one line, if the sum of them passes."""
    levels = [sum_.level - line.cost * left for left in range(times - 1, -1, -1)]
    if line.kind == "g":
        return [Outcome(0, level, max(0, level - line.limit), level) for level in levels]
    return [Outcome(0, level, 0, sum_.reset) for level in levels]
