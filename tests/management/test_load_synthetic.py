"""`load_synthetic`: an index of any size, right in every respect that readers can see."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from pkgindex.catalog import synthetic
from pkgindex.catalog.models import File, Index, JournalEntry, JournalHead, Project

JSON = "application/vnd.pypi.simple.v1+json"


def run(*arguments: str) -> dict:
    out = StringIO()
    call_command("load_synthetic", "--json", "--yes-i-know", *arguments, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def public(transactional_db) -> Index:
    """The default index, public."""
    return Index.objects.create(slug="main", title="Main", is_default=True, visibility="public")


def test_rows_pages_and_downloads(client, public):
    """As many projects and files as asked for; pages list them with true digests, and files can be downloaded."""
    assert json.loads(client.get("/simple/", HTTP_ACCEPT=JSON).content)["projects"] == []

    assert run("--projects", "10", "--files", "60", "--one-large", "45")["files"] == 105

    assert (Project.objects.count(), File.objects.count()) == (11, 105)
    listed = json.loads(client.get("/simple/", HTTP_ACCEPT=JSON).content)["projects"]
    assert len(listed) == 11
    total = 0
    for project in listed:
        page = json.loads(client.get(f"/simple/{project['name']}/", HTTP_ACCEPT=JSON).content)
        total += len(page["files"])
        assert page["meta"]["_last-serial"] == project["_last-serial"]
        for file in page["files"][:4]:
            answer = client.get(file["url"])
            assert (answer.status_code, len(b"".join(answer.streaming_content))) == (200, file["size"])
    assert total == 105


def test_serials_are_one_sequence(public):
    """Each project has its own serial, journaled, and the head and the index stand at the last."""
    run("--projects", "5", "--files", "5")
    run("--projects", "3", "--files", "9", "--seed", "more")

    serials = list(JournalEntry.objects.order_by("serial").values_list("serial", flat=True))
    assert serials == list(range(1, 9))
    assert sorted(Project.objects.values_list("last_serial", flat=True)) == serials
    public.refresh_from_db()
    assert (public.last_serial, JournalHead.objects.get().serial) == (8, 8)


def test_repeated_load_adds_nothing(public):
    """What is there is passed over, also after a load that ended half-way."""
    projects = synthetic.wanted(6, 30)
    synthetic.load(public, projects[:2], synthetic.Actor(None, "test"))

    first = run("--projects", "6", "--files", "30")
    again = run("--projects", "6", "--files", "30")

    assert first["files"] + sum(project.files for project in projects[:2]) == 30
    assert (again["files"], again["already_there"]) == (0, 30)


@pytest.mark.parametrize(("projects", "files"), [(1, 1), (3, 3), (7, 2_000), (50, 60), (2, 800), (1_000, 5_000)])
def test_numbers_are_exact(projects, files):
    """Every project has at least a file and at most the most, together they have what was asked for."""
    found = synthetic.wanted(projects, files)

    assert (len(found), sum(one.files for one in found)) == (projects, files)
    assert all(1 <= one.files <= synthetic.MOST_FILES for one in found)
    assert len({one.name for one in found}) == projects
    assert found == synthetic.wanted(projects, files)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--projects", "1", "--files", "1"], "for development"),
        (["--projects", "9", "--files", "1", "--yes-i-know"], "at least one file"),
        (["--projects", "0", "--files", "1", "--yes-i-know"], "at most"),
        (["--projects", "0", "--files", "0", "--yes-i-know"], "There is a project"),
        (["--projects", "-1", "--files", "1", "--yes-i-know"], "whole number"),
        (["--projects", "1", "--files", "1", "--seed", "A b", "--yes-i-know"], "small letters"),
        (["--projects", "1", "--files", "1", "--index", "none", "--yes-i-know"], "There is no index"),
    ],
)
def test_wrong_usage(public, arguments, sentence):
    """A sentence says what is wrong, and nothing is made."""
    with pytest.raises(CommandError, match=sentence):
        call_command("load_synthetic", *arguments)
    assert Project.objects.count() == 0
