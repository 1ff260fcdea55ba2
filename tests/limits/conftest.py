"""Plans, and an index to limit."""

import pytest

from pkgindex.catalog.models import Index
from tests.support.catalogue import add_wheel
from throttling import services
from throttling.models import Assignment, Limit, Plan


@pytest.fixture
def plan(transactional_db):
    """Give a subject a plan: `plan("users", pages="5/hour")`; a dictionary sets further fields of a limit."""

    def make(subject: str, **limits) -> None:
        row = Plan(name=f"plan-{subject}".replace(":", "-"))
        services.save(row, actor="test")
        for name, fields in limits.items():
            more = fields if isinstance(fields, dict) else {"rate": fields}
            services.save(Limit(plan=row, name=name, **more), actor="test")
        services.save(Assignment(plan=row, subject=subject), actor="test")

    return make


@pytest.fixture
def public(transactional_db) -> Index:
    """The default index, public, with one wheel."""
    index = Index.objects.create(slug="main", title="Main", is_default=True, visibility="public")
    add_wheel(index)
    return index
