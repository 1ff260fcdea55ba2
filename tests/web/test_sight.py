"""Lists agree with the decision about each of their rows."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkgindex.accounts.roles import ANONYMOUS, Action, Rank, Scope, Verdict, Who, decide
from pkgindex.catalog.models import Index, Project
from pkgindex.web.sight import indexes_seen, projects_seen

NAMES = ("acme", "acme-core", "team-x", "team-y", "other")


@pytest.fixture
def catalogue(db):
    """Three indexes, one of each visibility, with the same names in each."""
    made = []
    for visibility in ("public", "internal", "private"):
        row = Index.objects.create(slug=visibility, visibility=visibility)
        Project.objects.bulk_create(Project(index=row, name=name, normalized_name=name) for name in NAMES)
        made.append(row)
    return made


def people(indexes, projects):
    """Callers of every kind among these rows."""
    ranks = st.sampled_from(list(Rank))
    return st.builds(
        Who,
        user_id=st.just(1),
        username=st.just("ann"),
        is_superuser=st.booleans(),
        scopes=st.frozensets(st.sampled_from(list(Scope))),
        token_index_id=st.sampled_from([None, *indexes]),
        project_patterns=st.sampled_from([(), ("acme",), ("acme*",), ("team-*", "other"), ("*-x",), ("a*e",)]),
        index_ranks=st.dictionaries(st.sampled_from(indexes), ranks, max_size=2),
        project_ranks=st.dictionaries(st.sampled_from(projects), ranks, max_size=3),
    )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_lists_show_exactly_what_may_be_read(catalogue, data):
    """For any caller: each index lists the projects that `decide` allows, and is listed where there is one of them."""
    rows = list(Project.objects.order_by("pk"))
    everyone = people([index.pk for index in catalogue], [row.pk for row in rows])
    who = data.draw(everyone | st.just(ANONYMOUS))

    listed = {view.slug for view in indexes_seen(who)}

    for index in catalogue:
        view = index.view()
        allowed = {
            row.normalized_name
            for row in rows
            if row.index_id == index.pk
            and decide(who, Action.READ, view.project_place(row.normalized_name, row.pk)) is Verdict.ALLOW
        }
        seen = projects_seen(who, view)
        shown = set() if seen is None else set(Project.objects.filter(seen, index=index).values_list("name", flat=True))
        assert shown == allowed
        whole = decide(who, Action.READ, view.place) is Verdict.ALLOW
        assert (index.slug in listed) == (whole or bool(allowed))
