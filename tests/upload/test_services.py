"""`publish`: what makes a file, what refuses it, and that it is one file however many ask at once."""

import hashlib
import itertools
import os
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from balancing import snapshot
from pkgindex.accounts.models import Role
from pkgindex.audit.record import SYSTEM, Actor
from pkgindex.blobs import gc, store
from pkgindex.blobs.models import Blob
from pkgindex.catalog import services as catalogue
from pkgindex.catalog.models import File, Index, JournalEntry, Project, Release
from pkgindex.catalog.policy import IndexPolicy
from pkgindex.errors import ServiceError
from pkgindex.upload.examine import examine
from pkgindex.upload.services import check, publish
from pkgindex.upload.spool import Spool
from pkgindex.upload.submission import Distribution, Spooled, Submission
from tests.support import blobs
from tests.support.distributions import sdist, wheel

QUERIES_NEW_PROJECT = 40  # at most: the owner's role is another room's business
QUERIES_NEXT_FILE = 5 if connection.vendor == "postgresql" else 18


def received(filename: str, content: bytes) -> tuple[Distribution, Spooled]:
    """What the door has in hand before it publishes."""
    spool = Spool(1 << 30)
    spool.write(content)
    spooled = spool.finish()
    return examine(Submission.from_file(filename), spooled, IndexPolicy()), spooled


def upload(index: Index, filename: str, content: bytes, actor: Actor = SYSTEM) -> bool:
    return publish(*received(filename, content), index.view(), None, actor).created


@pytest.mark.django_db(transaction=True)
def test_number_of_queries(index, people, monkeypatch):
    """A publish costs a fixed number of statements, the transaction's own included, whatever the index holds."""
    actor = Actor(people.owner.pk, "owner")
    picture = snapshot.current()
    monkeypatch.setattr(snapshot, "current", lambda: picture)  # else it is looked up once a second, by whoever asks
    counts = []
    for version in ("1.0", "1.1", "1.2"):
        hand = received(*wheel(version=version))
        with CaptureQueriesContext(connection) as captured:
            publish(*hand, index.view(), None, actor)
        counts.append(len(captured))
    assert counts[0] <= QUERIES_NEW_PROJECT
    assert counts[1:] == [QUERIES_NEXT_FILE, QUERIES_NEXT_FILE]


@pytest.mark.django_db
def test_second_file_joins_its_release(index):
    """`1.0` and `1.0.0` are one release, and only new things are journalled."""
    upload(index, *wheel(version="1.0"))
    upload(index, *sdist(version="1.0.0"))
    assert [release.version for release in Release.objects.all()] == ["1.0"]
    actions = list(JournalEntry.objects.order_by("serial").values_list("action", "version"))
    assert actions == [("create project", ""), ("add file", "1.0"), ("add file", "1.0")]


@pytest.mark.django_db
def test_creator_owns_the_project(index, people):
    """Who uploads the first file owns the project; the operator's import gives it to nobody."""
    upload(index, *wheel("mine"), actor=Actor(people.uploader.pk, "uploader"))
    upload(index, *wheel("imported"))
    owners = Role.objects.filter(project__isnull=False).values_list("user__username", "project__name", "rank")
    assert list(owners) == [("uploader", "mine", "owner")]


def refused(index: Index, filename: str, content: bytes) -> tuple[str, str]:
    """The refusal's code and sentence; nothing may change by it, nor new bytes stay."""
    before = (JournalEntry.objects.count(), File.objects.count(), Blob.objects.count(), len(list(store.walk())))
    hand = received(filename, content)
    with pytest.raises(ServiceError) as early:
        check(*hand, index.view(), None)
    with pytest.raises(ServiceError) as refusal:
        publish(*hand, index.view(), None, SYSTEM)
    assert early.value.sentence == refusal.value.sentence
    assert before == (JournalEntry.objects.count(), File.objects.count(), Blob.objects.count(), len(list(store.walk())))
    return refusal.value.code, refusal.value.sentence


@pytest.mark.django_db
def test_filename_with_other_content(index):
    """A filename stands for its first bytes."""
    upload(index, *wheel())
    code, sentence = refused(index, *wheel(description="other"))
    assert (code, sentence.startswith("File already exists")) == ("file_exists", True)


@pytest.mark.django_db
def test_content_under_another_filename(index):
    """The same bytes are one file of a project, as on PyPI."""
    filename, content = wheel(tag="py3-none-any")
    upload(index, filename, content)
    code, sentence = refused(index, "acme-1.0-1-py3-none-any.whl", content)
    assert code == "file_exists"
    assert sentence == f"File already exists (the same content as {filename!r})."


@pytest.mark.django_db
def test_deleted_filename_returns_with_its_own_bytes_only(index):
    """After a deletion other bytes are refused for ever, and the old ones come back."""
    filename, content = wheel()
    upload(index, filename, content)
    catalogue.delete_file(SYSTEM, None, File.objects.get())
    assert refused(index, *wheel(description="other"))[0] == "filename_retired"
    assert upload(index, filename, content)
    assert File.objects.get().filename == filename


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "open_"), [("archived", False), ("quarantined", False), ("deprecated", True)])
def test_project_status(index, status, open_):
    """PEP 792: archived and quarantined projects take nothing, deprecated ones do."""
    upload(index, *wheel())
    Project.objects.update(status=status)
    if open_:
        assert upload(index, *wheel(version="2.0"))
    else:
        assert refused(index, *wheel(version="2.0")) == (
            "project_closed",
            f"Project 'acme' is {status} and takes no new files.",
        )
    assert not upload(index, *wheel())


@pytest.mark.django_db
def test_old_release_is_closed_where_the_policy_says_so(index):
    """After its days a release takes no new file, a new release of the same project does."""
    upload(index, *wheel())
    Release.objects.update(created_at=timezone.now() - timedelta(days=15))
    index.close_releases_after_days = 14
    assert refused(index, *sdist())[0] == "release_closed"
    assert upload(index, *sdist(version="1.1"))
    index.close_releases_after_days = None
    assert upload(index, *sdist())


@pytest.mark.django_db
def test_one_sdist_a_release(index):
    """A second sdist of a release is refused though its filename is free."""
    upload(index, *sdist(version="1.0"))
    assert refused(index, *sdist(version="1.0.0"))[0] == "sdist_exists"


@pytest.mark.django_db
def test_too_long_values_are_refused(index):
    """What a column cannot hold is a sentence, on every database."""
    requirement = "Requires-Python: " + ",".join(f"!=3.{minor}" for minor in range(100))
    try:
        hand = received(*wheel("acme", "1.0", requirement))
    except ServiceError:
        return
    with pytest.raises(ServiceError, match="requires_python: use at most 500 characters"):
        publish(*hand, index.view(), None, SYSTEM)


@pytest.mark.django_db
@pytest.mark.parametrize("nth", range(6))
def test_nothing_is_advertised_before_all_is_stored(index, monkeypatch, nth):
    """Whichever step of storing fails, no row tells of the file, nothing unfinished stays, the next try succeeds."""
    steps, sync = itertools.count(), os.fsync

    def fail(fd: int) -> None:
        if next(steps) == nth:
            raise OSError(28, "No space left on device")
        sync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            upload(index, *wheel())
    assert not any(model.objects.exists() for model in (File, Project, Blob))
    assert not any(store.storage().temporary.iterdir())
    assert upload(index, *wheel())
    assert list(gc.orphan_bytes(timezone.now() + timedelta(1))) == []


def at_once(*jobs) -> Counter:
    """Run the jobs in threads that start together; counts their answers and the codes of their refusals."""
    barrier, answers = threading.Barrier(len(jobs)), []

    def run(job) -> None:
        try:
            barrier.wait(20)
            answers.append(job())
        except ServiceError as error:
            answers.append(error.code)
        except Exception as error:  # noqa: BLE001 - a thread's failure must be counted, not printed
            answers.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return Counter(answers)


@pytest.mark.django_db(transaction=True)
def test_identical_files_at_once_are_one(index):
    """Eight publishers of one file: one creates it, seven find it, nobody fails."""
    hands = [received(*wheel()) for _ in range(8)]
    view = index.view()
    answers = at_once(*[lambda hand=hand: publish(*hand, view, None, SYSTEM).created for hand in hands])
    assert answers == {True: 1, False: 7}
    assert File.objects.count() == 1
    assert JournalEntry.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_different_files_at_once_have_one_winner(index):
    """Eight contents for one filename: exactly one is published, whole, and seven are told that it exists."""
    contents = {hashlib.sha256(c).hexdigest(): c for c in (wheel(description=str(n))[1] for n in range(8))}
    filename = wheel()[0]
    hands = [received(filename, content) for content in contents.values()]
    view = index.view()
    answers = at_once(*[lambda hand=hand: publish(*hand, view, None, SYSTEM).created for hand in hands])
    assert answers == {True: 1, "file_exists": 7}
    file = File.objects.get()
    with store.open_blob(file.blob_id) as stored:
        assert stored.read() == contents[file.blob_id]


@pytest.mark.django_db(transaction=True)
def test_new_projects_at_once_do_not_collide(index):
    """Different files of a project that does not exist yet make one project with all of them."""
    hands = [received(*wheel(version=f"1.{n}")) for n in range(6)]
    view = index.view()
    assert at_once(*[lambda hand=hand: publish(*hand, view, None, SYSTEM).created for hand in hands]) == {True: 6}
    assert Project.objects.count() == 1
    assert sorted(JournalEntry.objects.values_list("serial", flat=True)) == list(range(1, 8))


@pytest.mark.django_db(transaction=True)
def test_collection_never_takes_bytes_from_under_an_upload(index):
    """Garbage collection of old, unreferenced bytes races with uploads of the same bytes; what is listed is whole."""
    files = [wheel(version=f"1.{n}") for n in range(6)]
    for _, content in files:
        path = Path(store.local_path(blobs.put(content).sha256))
        os.utime(path, (0, 0))
    Blob.objects.update(claimed_at=timezone.now() - timedelta(days=2))
    hands = [received(*file) for file in files]
    view = index.view()
    collections = [lambda: bool(gc.collect())] * 2
    publishing = [lambda hand=hand: publish(*hand, view, None, SYSTEM).created for hand in hands]
    at_once(*itertools.chain(*zip(publishing[:2], collections, strict=True)), *publishing[2:])
    assert File.objects.count() == 6
    for file in File.objects.select_related("blob", "metadata_blob"):
        assert store.is_whole(file.blob_id, file.size)
        assert store.is_whole(file.metadata_blob_id, file.metadata_blob.size)
