"""An independent model: slow, exact, and written from the definitions rather than from the code."""

from fractions import Fraction


class LeakyBucket:
    """A bucket of `size` units that leaks `quota` per `period`: what GCRA must equal."""

    def __init__(self, size, quota, period):
        self.size, self.pace = size, Fraction(quota, period)
        self.filled, self.at = Fraction(0), 0

    def admits(self, now, cost):
        self.filled = max(Fraction(0), self.filled - (now - self.at) * self.pace)
        self.at = now
        if self.filled + cost > self.size:
            return False
        self.filled += cost
        return True


class History:
    """Every admission remembered: what the exact log must equal."""

    def __init__(self, quota, period):
        self.quota, self.period, self.seen = quota, period, []

    def admits(self, now, cost):
        self.seen = [(at, c) for at, c in self.seen if at > now - self.period]
        if sum(c for _, c in self.seen) + cost > self.quota:
            return False
        self.seen.append((now, cost))
        return True


def most_in_any_window(admitted, window):
    """The largest cost admitted in any half-open window of this length; `admitted` is [(time, cost)], sorted."""
    best = 0
    for start, _ in admitted:
        best = max(best, sum(cost for at, cost in admitted if start <= at < start + window))
    return best
