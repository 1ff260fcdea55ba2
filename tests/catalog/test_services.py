"""Yanking, deleting and setting the status: what changes, what is journalled, who may."""

import pytest

from pkgindex.accounts.models import Role
from pkgindex.accounts.roles import ALL_SCOPES, ANONYMOUS, Scope, Who
from pkgindex.accounts.whois import who_of_user
from pkgindex.audit.models import AuditEntry
from pkgindex.audit.record import SYSTEM, Actor
from pkgindex.blobs.models import Blob
from pkgindex.catalog import services
from pkgindex.catalog.models import File, Index, JournalEntry, Project, Release, RetiredFilename
from pkgindex.errors import AuthenticationRequired, Forbidden, InvalidRequest, NotFound
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(index) -> File:
    return add_wheel(index)


def journal() -> list[tuple[str, str, str]]:
    """Every change but the uploads that made the fixtures."""
    rows = JournalEntry.objects.exclude(action__in=["create project", "add file"]).order_by("serial")
    return list(rows.values_list("action", "version", "filename"))


def test_yank_file_and_back(file):
    """The file is marked with its reason, each change takes a serial, repeating takes none."""
    first = services.yank_file(Actor(None, "ann"), None, file, "  broken\non 3.13 ")
    assert services.yank_file(SYSTEM, None, file, "broken on 3.13") is None
    file.refresh_from_db()
    assert (file.yanked, file.yanked_reason) == (True, "broken on 3.13")
    assert JournalEntry.objects.get(serial=first).actor_label == "ann"
    assert AuditEntry.objects.get(action="yank file").detail == {"serial": first, "reason": "broken on 3.13"}
    second = services.yank_file(SYSTEM, None, file, "worse")

    third = services.unyank_file(SYSTEM, None, file)

    assert services.unyank_file(SYSTEM, None, file) is None
    assert [first, second, third] == [first, first + 1, first + 2]
    file.refresh_from_db()
    assert (file.yanked, file.yanked_reason) == (False, "")
    assert journal() == [
        ("yank file", "1.0", file.filename),
        ("yank file", "1.0", file.filename),
        ("unyank file", "1.0", file.filename),
    ]
    assert Project.objects.get().last_serial == Index.objects.get().last_serial == third


def test_release_counts_as_yanked_while_all_its_files_are(index, file):
    """The release's flag follows its files."""
    other = add_wheel(index, "acme", "1.0", filename="acme-1.0-py2-none-any.whl")
    release = file.release

    seen = []
    for work in (services.yank_file, services.unyank_file):
        for each in (file, other):
            work(SYSTEM, None, each)
            release.refresh_from_db()
            seen.append(release.yanked)

    assert seen == [False, True, False, False]


def test_yank_release_and_back(index, file):
    """All files follow in one change, also those yanked before for another reason."""
    other = add_wheel(index, "acme", "1.0", filename="acme-1.0-py2-none-any.whl")
    services.yank_file(SYSTEM, None, other, "other")

    assert services.yank_release(SYSTEM, None, file.release, "bad") is not None
    assert services.yank_release(SYSTEM, None, file.release, "bad") is None
    assert set(File.objects.values_list("yanked", "yanked_reason")) == {(True, "bad")}
    assert Release.objects.get().yanked

    assert services.unyank_release(SYSTEM, None, file.release) is not None
    assert services.unyank_release(SYSTEM, None, file.release) is None
    assert set(File.objects.values_list("yanked", "yanked_reason")) == {(False, "")}
    assert not Release.objects.get().yanked
    assert [action for action, _, _ in journal()] == ["yank file", "yank release", "unyank release"]


def test_delete_file_retires_its_name_and_leaves_the_bytes(index, file):
    """The row goes, the name is kept with the digest, the blob waits for collection, an empty release goes too."""
    sha256 = file.blob_id

    services.delete_file(SYSTEM, None, file)

    assert not File.objects.exists()
    assert not Release.objects.exists()
    assert Project.objects.exists()
    retired = RetiredFilename.objects.get()
    assert (retired.index, retired.filename, retired.sha256) == (index, file.filename, sha256)
    assert Blob.objects.filter(sha256=sha256).exists()
    assert journal() == [("remove file", "1.0", file.filename), ("remove release", "1.0", "")]


def test_release_with_other_files_stays_and_its_flag_is_right(index, file):
    """When the last file that was not yanked goes, the rest is a yanked release."""
    other = add_wheel(index, "acme", "1.0", filename="acme-1.0-py2-none-any.whl")
    services.yank_file(SYSTEM, None, other, "old")

    services.delete_file(SYSTEM, None, file)

    assert Release.objects.get().yanked
    assert [action for action, _, _ in journal()] == ["yank file", "remove file"]


def test_name_is_retired_again_with_its_newest_bytes(index, file):
    """A file that came back and goes again updates the one retired row."""
    services.delete_file(SYSTEM, None, file)
    back = add_wheel(index)
    File.objects.filter(pk=back.pk).update(blob=back.metadata_blob)

    services.delete_file(SYSTEM, None, File.objects.select_related("release__project__index").get())

    assert RetiredFilename.objects.get().sha256 == back.metadata_blob_id


def test_delete_release(index, file):
    """Its files go and are retired; other releases stay."""
    add_wheel(index, "acme", "2.0")

    services.delete_release(SYSTEM, None, file.release)

    assert list(Release.objects.values_list("version", flat=True)) == ["2.0"]
    assert RetiredFilename.objects.count() == 1
    assert journal() == [("remove release", "1.0", "")]


def test_delete_project(index, people, file):
    """Everything of it goes, its roles too; its file names stay retired and the journal remembers."""
    add_wheel(index, "acme", "2.0")
    Role.objects.create(user=people.stranger, project=file.release.project, rank="owner")

    services.delete_project(SYSTEM, None, file.release.project)

    for model in (Project, Release, File):
        assert not model.objects.exists()
    assert not Role.objects.filter(index=None).exists()
    assert RetiredFilename.objects.count() == 2
    assert journal() == [("remove project", "", "")]
    assert Index.objects.get().last_serial == JournalEntry.objects.first().serial


def test_large_project_goes_in_few_queries(index, file, django_assert_max_num_queries):
    """Two thousand files are deleted in a bounded number of statements."""
    row = File.objects.get()
    for number in range(2000):
        row.pk, row.filename = None, f"acme-1.0-{number}-py3-none-any.whl"
        row.save() if number == 0 else None
    File.objects.bulk_create(
        [
            File(
                **{
                    f.attname: getattr(row, f.attname) for f in File._meta.fields if f.attname not in {"id", "filename"}
                },
                filename=f"acme-1.0-{number}-py3-none-any.whl",
            )
            for number in range(1, 2000)
        ]
    )

    with django_assert_max_num_queries(40):
        services.delete_project(SYSTEM, None, file.release.project)

    assert RetiredFilename.objects.count() == 2001


@pytest.mark.parametrize("status", ["archived", "quarantined", "deprecated"])
def test_set_status(file, status):
    """A status marker with its reason; saying it again takes no serial; back to active clears the reason."""
    project = file.release.project

    assert services.set_status(SYSTEM, None, project, status, "moved") is not None
    assert services.set_status(SYSTEM, None, project, status, "moved") is None
    project.refresh_from_db()
    assert (project.status, project.status_reason) == (status, "moved")
    assert services.set_status(SYSTEM, None, project, "active") is not None
    assert [action for action, _, _ in journal()] == [f"set status {status}", "set status active"]


@pytest.mark.parametrize("status", ["", "ACTIVE", "gone", "active "])
def test_unknown_status(file, status):
    """PEP 792 knows four."""
    with pytest.raises(InvalidRequest, match="active, archived, quarantined, deprecated"):
        services.set_status(SYSTEM, None, file.release.project, status)


@pytest.mark.parametrize("reason", ["x" * 501, "a\0b", "a\x1b[31mred", "\u202eabc"])
def test_reasons_that_cannot_be_shown(file, reason):
    """Long reasons and control characters are refused before anything changes."""
    for work, row in (
        (services.yank_file, file),
        (services.yank_release, file.release),
        (lambda *given: services.set_status(*given[:3], "archived", given[3]), file.release.project),
    ):
        with pytest.raises(InvalidRequest, match="reason"):
            work(SYSTEM, None, row, reason)
    assert journal() == []


WORK = {
    "yank_file": lambda who, file: services.yank_file(SYSTEM, who, file),
    "unyank_file": lambda who, file: services.unyank_file(SYSTEM, who, file),
    "yank_release": lambda who, file: services.yank_release(SYSTEM, who, file.release),
    "unyank_release": lambda who, file: services.unyank_release(SYSTEM, who, file.release),
    "delete_file": lambda who, file: services.delete_file(SYSTEM, who, file),
    "delete_release": lambda who, file: services.delete_release(SYSTEM, who, file.release),
    "delete_project": lambda who, file: services.delete_project(SYSTEM, who, file.release.project),
    "set_status": lambda who, file: services.set_status(SYSTEM, who, file.release.project, "archived"),
}
DENIED = {
    "anonymous": AuthenticationRequired,
    "stranger": NotFound,
    "reader": Forbidden,
    "uploader": Forbidden,
    "maintainer": None,
    "owner": None,
}


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("persona", DENIED)
def test_who_may(people, file, persona, work):
    """Maintainers and owners change files; nobody else changes anything."""
    who = ANONYMOUS if persona == "anonymous" else who_of_user(getattr(people, persona))
    error = DENIED[persona]
    if error is None:
        WORK[work](who, file)
        return

    with pytest.raises(error):
        WORK[work](who, file)

    assert journal() == []
    assert File.objects.filter(yanked=False).count() == 1


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"scopes": ALL_SCOPES - {Scope.MANAGE}}, "scope 'manage' is needed"),
        ({"token_index_id": 0}, "There is no|isn't allowed"),
        ({"project_patterns": ("other-*",)}, "There is no|isn't allowed"),
    ],
)
def test_limits_of_the_token_hold_for_an_owner(people, index, file, work, limits, sentence):
    """Whatever the rank, the token's scopes, index and patterns bind."""
    base = {"user_id": people.owner.pk, "username": "owner", "token_id": 1, "scopes": ALL_SCOPES}
    who = Who(**base | {"index_ranks": who_of_user(people.owner).index_ranks} | limits)

    with pytest.raises((Forbidden, NotFound), match=sentence):
        WORK[work](who, file)


@pytest.mark.parametrize("work", WORK)
def test_row_that_went_away_meanwhile(file, work):
    """Acting on what somebody else just deleted is NotFound, and leaves no trace in the journal."""
    row = File.objects.select_related("release__project__index").get()
    services.delete_project(SYSTEM, None, Project.objects.select_related("index").get())
    before = JournalEntry.objects.count()

    with pytest.raises(NotFound):
        WORK[work](None, row)

    assert JournalEntry.objects.count() == before
