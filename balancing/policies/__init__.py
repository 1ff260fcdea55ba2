"""Ways to choose a node, by name. A new one is a new file copied from a sibling and one line here."""

from balancing.policies.base import Candidate, Policy
from balancing.policies.least_outstanding import LeastOutstanding
from balancing.policies.peak_ewma import PeakEwma
from balancing.policies.rendezvous import Rendezvous
from balancing.policies.smooth_round_robin import SmoothRoundRobin
from balancing.policies.weighted_random import WeightedRandom
from balancing.policies.zone_aware import ZoneAware

__all__ = ["DEFAULT", "POLICIES", "Candidate", "Policy"]

DEFAULT = "rendezvous"
POLICIES: dict[str, type[Policy]] = {
    "rendezvous": Rendezvous,
    "smooth_round_robin": SmoothRoundRobin,
    "least_outstanding": LeastOutstanding,
    "peak_ewma": PeakEwma,
    "weighted_random": WeightedRandom,
    "zone_aware": ZoneAware,
}
