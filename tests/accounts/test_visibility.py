"""The SQL conditions of lists rule exactly as `decide` does."""

import itertools

import pytest

from pkgindex.accounts.roles import ALL_SCOPES, ANONYMOUS, Action, Place, Rank, Scope, Verdict, Visibility, Who, decide
from pkgindex.accounts.visibility import readable_indexes, readable_projects
from pkgindex.catalog.models import File, Index, Project, Release
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db

NAMES = ("acme", "team-a", "team-b-core")


@pytest.fixture
def catalogue(db) -> list[Index]:
    made = []
    for visibility in Visibility:
        index = Index.objects.create(slug=visibility.value, visibility=visibility.value)
        for name in NAMES:
            add_wheel(index, name)
        made.append(index)
    return made


def callers(catalogue: list[Index]) -> list[Who]:
    """Every mixture of powers, ranks and limits that differs for reading."""
    private = catalogue[2]
    project = Project.objects.get(index=private, normalized_name="team-a")
    ranks = [({}, {}), ({private.pk: Rank.READER}, {}), ({}, {project.pk: Rank.OWNER})]
    limits = [(None, ()), (private.pk, ()), (catalogue[0].pk, ()), (None, ("team-*",)), (private.pk, ("*-b*", "acme"))]
    made = [ANONYMOUS]
    for superuser, (by_index, by_project), (index_id, patterns), scopes in itertools.product(
        (False, True), ranks, limits, (ALL_SCOPES, frozenset({Scope.UPLOAD}))
    ):
        made.append(
            Who(
                user_id=1,
                username="x",
                is_superuser=superuser,
                scopes=scopes,
                token_index_id=index_id,
                project_patterns=patterns,
                index_ranks=by_index,
                project_ranks=by_project,
            )
        )
    return made


def allowed(who: Who, place: Place) -> bool:
    return decide(who, Action.READ, place) is Verdict.ALLOW


def test_lists_show_exactly_what_decide_allows(catalogue):
    """Indexes, projects, releases and files, for sixty-one kinds of callers."""
    for who in callers(catalogue):
        expected = {
            row.pk
            for row in Project.objects.select_related("index")
            if allowed(who, row.index.view().project_place(row.normalized_name, row.pk))
        }
        projects = Project.objects.filter(readable_projects(who))
        releases = Release.objects.filter(readable_projects(who, project="project"))
        files = File.objects.filter(readable_projects(who, project="release__project", index="index"))
        indexes = Index.objects.filter(readable_indexes(who))

        assert set(projects.values_list("pk", flat=True)) == expected, who
        assert sorted(releases.values_list("project_id", flat=True)) == sorted(expected), who
        assert sorted(files.values_list("release__project_id", flat=True)) == sorted(expected), who
        assert set(indexes) == {index for index in catalogue if allowed(who, index.view().place)}, who
