"""Fixtures of the throttling tests; nothing here knows the product."""

import pytest

from tests.throttling import stores
from throttling import conf, plans, services, stats
from throttling import store as the_store
from throttling.models import Assignment, Limit, Plan
from throttling.stores.failover import FailoverStore


@pytest.fixture(autouse=True)
def _clean():
    """No test sees what another counted or planned."""
    stores.redis_client().flushdb()
    conf.get.cache_clear()
    the_store.reset()
    plans.reset()
    stats._pending.clear()
    yield
    held = the_store._store
    if isinstance(held, FailoverStore):
        held.primary.close()
    the_store.reset()
    plans.reset()
    conf.get.cache_clear()


@pytest.fixture(params=["memory", "redis"])
def store(request):
    """Every kind of store that keeps the contract by itself."""
    return stores.make(request.param)


@pytest.fixture
def plan(db):
    """Make a plan: `plan("user:1", burst="5/hour", day={"rate": "9/day calendar", "mode": "shadow"})`."""

    def make(*subjects, plan_name=None, **limits):
        row = Plan(name=plan_name or f"plan-{Plan.objects.count()}")
        services.save(row, actor="test")
        for name, values in limits.items():
            fields = {"rate": values} if isinstance(values, str) else values
            services.save(Limit(plan=row, name=name.replace("_", "-"), **fields), actor="test")
        for subject in subjects:
            services.save(Assignment(plan=row, subject=subject), actor="test")
        plans.reset()
        return row

    return make
