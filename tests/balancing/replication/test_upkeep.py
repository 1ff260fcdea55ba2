"""Copies stay true: comparisons, scrubs, tombstones."""

import random
from datetime import timedelta
from hashlib import sha256

import pytest
from django.utils import timezone

from balancing.backends import NodeError
from balancing.models import Node, Replica
from balancing.replication import comparing, queries, reaping, requests, scrubbing, tasks, transfer

pytestmark = pytest.mark.django_db(transaction=True)

DATA = random.Random(9).randbytes(100_000)


def state(digest, node="n1"):
    return Replica.objects.get(digest=digest, node_id=node).state


def work():
    """What workers would do with everything that waits."""
    for _ in range(20):
        rows = Replica.objects.filter(queries.DUE, queries.is_free(timezone.now()))
        if not (found := list(rows.values_list("digest", "node_id", "state"))):
            return
        for digest, node, wish in found:
            (transfer.delete if wish == "deleting" else transfer.copy)(digest, node)
    raise AssertionError("it never ends")


def plant(server, digest, content):
    path = server.path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def flipped(content):
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.fixture
def copied(nodes, source):
    """Three files on both nodes."""
    digests = sorted(source.add(DATA[n:]) for n in range(3))
    requests.wanted(digests)
    work()
    assert set(Replica.objects.values_list("state", flat=True)) == {"verified"}
    return digests


PLANTED = {
    "a bit flip": flipped,
    "a truncated file": lambda content: content[:-1],
    "another file": lambda content: b"z" * len(content),
    "a page of HTML": lambda _: b"<html>It works!</html>",
    "an empty file": lambda _: b"",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_corruption_is_found_by_the_next_scrub_and_repaired(copied, nodes, source, kind):
    """No kind of damage survives: the copy is offered no more after the scrub, and made anew."""
    digest = copied[1]
    original = (source.folder / digest).read_bytes()
    nodes[0].path(digest).write_bytes(PLANTED[kind](original))
    tasks.scrub("n1", everything=True)
    assert state(digest) == "corrupt"
    assert state(digest, "n2") == "verified"
    work()
    assert state(digest) == "verified"
    assert nodes[0].files()[digest] == original


def test_missing_file_is_found_by_a_scrub(copied, nodes):
    """A copy that is not there is no better than a damaged one."""
    nodes[0].path(copied[0]).unlink()
    tasks.scrub("n1", everything=True)
    work()
    assert set(nodes[0].files()) == set(copied)


def test_scrub_goes_on_where_it_stopped(copied, nodes):
    """The copy that was not read for the longest time comes first; a slice ends with its bytes."""
    for age, digest in enumerate(copied):
        Replica.objects.filter(digest=digest).update(scrubbed_at=timezone.now() - timedelta(days=8 + age))
    assert scrubbing.scrub("n1", size=1).files == 1
    assert [one.digest for one in scrubbing.oldest("n1", timezone.now() - scrubbing.EVERY)] == [copied[1], copied[0]]
    assert scrubbing.scrub("n1").files == 2
    assert scrubbing.scrub("n1").files == 0, "all were read lately"
    assert scrubbing.scrub("n1", before=timezone.now(), seconds=0).files == 0


def test_comparison_finds_every_difference(copied, nodes, source):
    """Both directions: files of nobody, files of the deleted, missing files, wrong sizes."""
    missing, short, fine = copied
    nodes[0].path(missing).unlink()
    nodes[0].path(short).write_bytes(b"short")
    stranger = sha256(b"stranger").hexdigest()
    plant(nodes[0], stranger, b"stranger")
    deleted = source.add(b"deleted")
    requests.wanted([deleted])
    source.remove(deleted)
    requests.unwanted([deleted])
    work()
    assert state(deleted) == "deleted"
    plant(nodes[0], deleted, b"deleted")
    found = comparing.compare("n1")
    assert found.as_dict() == {"files": 4, "strangers": 2, "missing": 1, "damaged": 1}
    assert (state(missing), state(short), state(fine)) == ("pending", "corrupt", "verified")
    assert (state(stranger), state(deleted)) == ("deleting", "deleting")
    work()
    assert set(nodes[0].files()) == set(copied)
    assert comparing.compare("n1").as_dict() == {"files": 3, "strangers": 0, "missing": 0, "damaged": 0}
    assert not Replica.objects.filter(node_id="n1", state="deleted").exists(), "tombstones are cleared away"


def test_comparison_of_a_node_with_old_rows_needs_no_second_question(copied, nodes):
    """Only what was verified within the hour is asked for once more."""
    Replica.objects.update(verified_at=timezone.now() - timedelta(days=1))
    nodes[0].path(copied[0]).unlink()
    assert comparing.compare("n1").missing == 1


def test_comparison_goes_page_by_page(copied, nodes, monkeypatch):
    """With pages of one file the same differences are found, also behind the last file."""
    from balancing.node.client import NodeClient

    inventory = NodeClient.inventory
    monkeypatch.setattr(NodeClient, "inventory", lambda self, after: inventory(self, after, 1))
    nodes[0].path(copied[0]).unlink()
    nodes[0].path(copied[2]).unlink()
    assert comparing.compare("n1").missing == 2


def test_node_that_returns_under_its_name_is_taken_on(copied, nodes, look):
    """Files that no row tells of and that belong there are checked and kept, not sent again."""
    url = Node.objects.get(name="n1").url
    Node.objects.filter(name="n1").delete()
    Node.objects.create(name="n1", url=url)
    look()
    nodes[0].path(copied[0]).write_bytes(b"damaged meanwhile")
    before = len(nodes[0].puts(len(copied)))
    assert comparing.compare("n1").strangers == 0
    work()
    assert {state(digest) for digest in copied} == {"verified"}
    assert len(nodes[0].puts(before + 1)) == before + 1, "only the damaged one"


def test_transfers_under_way_are_not_disturbed(copied, nodes, source):
    """A file that arrives just now has a row that is not verified: it is nobody's stranger."""
    digest = source.add(b"new")
    requests.wanted([digest])
    plant(nodes[0], digest, b"new")
    assert comparing.compare("n1").strangers == 0
    assert state(digest) == "pending"


def test_tombstone_reaches_a_node_that_was_away(copied, nodes, source):
    """A deletion is tried until it succeeds, whatever the number of attempts."""
    nodes[0].kill()
    source.remove(copied[0])
    requests.unwanted(copied[:1])
    for _ in range(12):
        Replica.objects.filter(state="deleting").update(lease_until=None)
        transfer.delete(copied[0], "n1")
    transfer.delete(copied[0], "n2")
    assert (state(copied[0]), state(copied[0], "n2")) == ("deleting", "deleted")
    row = Replica.objects.get(digest=copied[0], node_id="n1")
    assert row.attempts == 12
    assert (row.due_at - timezone.now()).total_seconds() <= transfer.LONGEST_BURIAL
    nodes[0].start()
    Replica.objects.filter(state="deleting").update(lease_until=None, due_at=timezone.now())
    work()
    assert state(copied[0]) == "deleted"
    assert set(nodes[0].files()) == set(copied[1:])


def test_node_that_does_not_answer_is_skipped(copied, nodes):
    """Its rows stay as they are; the task ends with a line in the log."""
    nodes[0].kill()
    with pytest.raises(NodeError):
        comparing.compare("n1")
    with pytest.raises(NodeError):
        scrubbing.scrub("n1", before=timezone.now())
    tasks.compare("n1")
    tasks.scrub("n1", everything=True)
    assert {state(digest) for digest in copied} == {"verified"}


def test_nothing_is_sent_for_a_node_that_is_away(copied, nodes, source, look):
    """Its rows wait without using up their attempts, and go when it is back."""
    from balancing import health
    from balancing.models import Health

    Health.objects.create(node_id="n1")

    def probe(passed):
        for _ in range(3):
            health.probed("n1", passed, 0.01)
        look()

    probe(True)
    probe(False)
    assert reaping.away() == {"n1"}
    digest = source.add(b"new")
    requests.wanted([digest])
    Replica.objects.filter(digest=digest).update(due_at=timezone.now())
    tasks.copy(digest, "n1")
    assert Replica.objects.get(digest=digest, node_id="n1").attempts == 0
    assert reaping.reap() == 1, "the other node's"
    probe(True)
    assert reaping.reap() == 1
    tasks.copy(digest, "n1")
    assert state(digest) == "verified"


def test_task_goes_on_with_what_waits(nodes, source, settings):
    """A task that is done with its file brings others to the node, or deletes others, for a short turn."""
    digests = [source.add(b"%d" % number) for number in range(10)]
    requests.wanted(digests)
    tasks.copy(digests[0], "n1")
    assert {state(digest) for digest in digests} == {"verified"}
    requests.unwanted(digests)
    tasks.delete(digests[0], "n1")
    assert {state(digest) for digest in digests} == {"deleted"}
    assert nodes[0].files() == {}
