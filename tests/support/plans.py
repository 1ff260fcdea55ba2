"""Limits for tests of the index."""

from throttling import services
from throttling.models import Assignment, Limit, Plan


def limit_everybody(**rates: str) -> Plan:
    """A plan in force for everybody, with a limit for each name."""
    plan = Plan(name="everybody")
    services.save(plan, actor="test")
    for name, rate in rates.items():
        services.save(Limit(plan=plan, name=name, rate=rate), actor="test")
    services.save(Assignment(plan=plan, subject="everyone"), actor="test")
    return plan
