"""Statements that are compiled once: the same as the ORM's, whatever the values."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.audit.models import AuditEntry
from pkgindex.catalog.models import Index, Project
from pkgindex.prepared import Insert, Select, Update

pytestmark = pytest.mark.django_db
AWKWARD = ["plain", "it's", "100%", "%s", 'a "b"', "\u00e4\U0001f600", "", "a sample"]


@pytest.fixture
def projects(index) -> list[Project]:
    """A project for each awkward text."""
    return [
        Project.objects.create(index=index, name=text, normalized_name=f"p{number}")
        for number, text in enumerate(AWKWARD)
    ]


@pytest.mark.parametrize("text", AWKWARD)
def test_select_finds_what_the_orm_finds(projects, index, text):
    """Values may be anything, also the sample itself."""
    by_name = Select(
        lambda index, name: Project.objects.filter(index_id=index, name=name, status="active").values_list("pk"),
        987_654,
        "a sample",
    )

    for _ in range(2):
        assert by_name(index.pk, text) == list(Project.objects.filter(name=text).values_list("pk"))
    assert by_name(index.pk + 1, text) == []


def test_update_changes_the_rows_that_it_names(projects):
    """And says how many those were."""
    rename = Update(lambda name, pk: (Project.objects.filter(pk=pk), {"name": name}), "a sample", 987_654)

    assert (rename("new 100%", projects[0].pk), rename("new", 0)) == (1, 0)
    assert Project.objects.filter(name="new 100%").get() == projects[0]


@pytest.mark.parametrize("text", AWKWARD)
def test_insert_keeps_what_create_keeps(text):
    """Every column, JSON, dates and the key among them."""
    fields = {"actor_label": text, "action": "x", "target_type": "y", "target": text, "detail": {text: [1, None]}}
    insert = Insert(AuditEntry)

    rows = [insert(**fields), insert(ip="::1", **fields), AuditEntry.objects.create(**fields)]

    there = [AuditEntry.objects.get(pk=row.pk) for row in rows]
    assert [(one.actor_label, one.target, one.detail, one.ip) for one in there] == [
        (text, text, {text: [1, None]}, ip) for ip in (None, "::1", None)
    ]
    assert [one.at for one in there] == [row.at for row in rows]
    assert not rows[0]._state.adding


def test_compiles_once(projects, index, monkeypatch):
    """What is asked again is only sent."""
    made = []
    find = Select(lambda name: made.append(1) or Project.objects.filter(name=name).values_list("pk"), "a sample")

    with CaptureQueriesContext(connection) as queries:
        for text in AWKWARD:
            find(text)

    assert (len(made), len(queries)) == (1, len(AWKWARD))


def test_sample_that_is_no_parameter_is_a_mistake(db):
    """A statement that would not use its value is found when it is first made."""
    wrong = Select(lambda _: Index.objects.values_list("pk"), "a sample")
    with pytest.raises(ValueError, match="sample"):
        wrong("x")
