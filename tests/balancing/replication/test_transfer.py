"""One copy to one real node."""

import io
import random
import threading
from datetime import timedelta
from hashlib import sha256

import pytest
from django.db.models import F
from django.utils import timezone

from balancing import conf
from balancing.models import Node, Replica, ReplicaState
from balancing.replication import reaping, requests, rows, taking, transfer
from balancing.replication.reading import LeaseLost, Metered, SourceError
from tests.balancing.replication.world import NodeServer, connection_to

pytestmark = pytest.mark.django_db(transaction=True)

DATA = random.Random(5).randbytes(300_000)


def row(digest, node="n1"):
    return Replica.objects.get(digest=digest, node_id=node)


def ago(seconds):
    return timezone.now() - timedelta(seconds=seconds)


@pytest.fixture
def digest(nodes, source):
    made = source.add(DATA)
    requests.wanted([made])
    return made


def test_copy_arrives_and_is_verified(digest, nodes):
    """The bytes are on the node before the row says so, and a second task has nothing to do."""
    assert {one.state for one in Replica.objects.filter(digest=digest)} == {"pending"}
    assert transfer.copy(digest, "n1") == "verified"
    found = row(digest)
    assert (found.state, found.sent, found.attempts, found.lease) == ("verified", len(DATA), 1, "")
    assert nodes[0].files() == {digest: DATA}
    assert transfer.copy(digest, "n1") == "idle"
    assert row(digest, "n2").state == "pending"
    assert nodes[0].puts(1) == [(digest, 201)]


def test_bytes_that_are_there_are_checked_and_not_sent_again(digest, nodes):
    """A worker that dies between the last byte and the row costs no second transfer."""
    transfer.copy(digest, "n1")
    Replica.objects.update(state=ReplicaState.PENDING)
    assert transfer.copy(digest, "n1") == "verified"
    assert len(nodes[0].puts(1)) == 1


def test_damaged_bytes_of_the_right_size_are_sent_again(digest, nodes):
    """The size alone is not believed."""
    transfer.copy(digest, "n1")
    nodes[0].path(digest).write_bytes(b"x" * len(DATA))
    requests.corrupt(digest, "n1", "a reader got other bytes")
    assert row(digest).state == "corrupt"
    assert transfer.copy(digest, "n1") == "verified"
    assert nodes[0].files() == {digest: DATA}


def test_only_a_verified_copy_becomes_corrupt(digest):
    """A late report about an earlier copy changes nothing."""
    requests.corrupt(digest, "n1", "late")
    assert row(digest).state == "pending"


def test_node_that_is_down_is_tried_again_with_growing_pauses(digest, nodes):
    """Each failure doubles the pause, half of it by lot; at the last the copy is given up."""
    nodes[0].kill()
    pauses = []
    for attempt in range(1, conf.get().attempts + 1):
        before = timezone.now()
        outcome = transfer.copy(digest, "n1")
        found = row(digest)
        assert found.attempts == attempt
        assert "node" in found.last_error
        pauses.append((found.due_at - before).total_seconds())
        assert outcome == ("given_up" if attempt == conf.get().attempts else "failed")
        assert transfer.copy(digest, "n1") == "idle", "it waits"
        Replica.objects.filter(node_id="n1").update(lease_until=None)
    assert all(2**n * 0.5 <= pause <= 2**n + 1 for n, pause in enumerate(pauses[:-1]))
    assert row(digest).state == "failed"
    nodes[0].start()
    requests.wanted([digest])
    assert transfer.copy(digest, "n1") == "verified", "somebody asked for it anew"


def test_full_node_refuses_and_is_tried_again(nodes, source, look, tmp_path):
    """The node's answer is kept for people to read; the other node is not touched by it."""
    full = NodeServer("n3", tmp_path, reserve=1 << 60).start()
    try:
        Node.objects.create(name="n3", url=full.url)
        look()
        digest = source.add(DATA)
        requests.wanted([digest])
        assert transfer.copy(digest, "n3") == "failed"
        assert "bytes free" in row(digest, "n3").last_error
        assert transfer.copy(digest, "n1") == "verified"
    finally:
        full.kill()


def test_original_that_changed_is_refused_for_good(digest, nodes, source):
    """The node hashes what arrives: wrong bytes are never published, and not tried again and again."""
    (source.folder / digest).write_bytes(b"y" * len(DATA))
    assert transfer.copy(digest, "n1") == "given_up"
    assert row(digest).state == "failed"
    assert nodes[0].files() == {}


@pytest.mark.parametrize("content", [None, b"short"], ids=["missing", "short"])
def test_original_that_cannot_be_read_is_an_error_of_its_own(digest, nodes, source, content):
    """It is tried again, because the storage may only be away."""
    (source.folder / digest).unlink()
    if content:
        (source.folder / digest).write_bytes(content)
    assert transfer.copy(digest, "n1") == "failed"
    assert ("original" if content is None else "source") in row(digest).last_error
    assert nodes[0].files() == {}
    assert nodes[0].cleaned_up()


def test_lease_cannot_be_stolen_while_it_lives(digest):
    """Of two workers that take a row one gets it; an expired lease may be taken, and its first holder cannot end it."""
    first = taking.take(digest, "n1")
    assert taking.take(digest, "n1") == "idle"
    Replica.objects.update(lease_until=ago(1))
    second = taking.take(digest, "n1")
    assert first.lease != second.lease
    assert not rows.renew(first, 1)
    assert not rows.verified(first)
    rows.release(first)
    assert rows.renew(second, 2)
    assert row(digest).sent == 2
    assert rows.verified(second)


def test_many_workers_take_one_row_once(shared_database, nodes, source):
    """Threads with connections of their own race for one row, many times."""
    from django.db import connections

    digest = source.add(DATA)
    requests.wanted([digest])
    for _ in range(10):
        Replica.objects.update(state="pending", lease="", lease_until=None, attempts=0)
        found, start = [], threading.Barrier(4)

        def work(found=found, start=start):
            connections["default"] = connection_to(shared_database)
            start.wait()
            found.append(taking.take(digest, "n1"))
            connections["default"].close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(not isinstance(one, str) for one in found) == 1


def test_node_at_its_limit_is_left_alone(nodes, source, settings):
    """At most so many transfers at once; a row that finds no place waits a moment and costs no attempt."""
    settings.BALANCING = {**settings.BALANCING, "TRANSFERS": 2}
    digests = [source.add(bytes([number])) for number in range(3)]
    requests.wanted(digests)
    assert not isinstance(taking.take(digests[0], "n1"), str)
    assert not isinstance(taking.take(digests[1], "n1"), str)
    assert transfer.copy(digests[2], "n1") == "busy"
    found = row(digests[2])
    assert (found.state, found.attempts) == ("pending", 0)
    assert found.due_at > timezone.now() + timedelta(seconds=1)
    assert transfer.copy(digests[2], "n2") == "verified"
    Replica.objects.filter(digest=digests[0]).update(lease_until=ago(1))
    assert transfer.copy(digests[2], "n1") == "verified"


def test_bandwidth_is_kept(nodes, source, settings):
    """600 KB at 300 KB a second take about two seconds."""
    settings.BALANCING = {**settings.BALANCING, "BANDWIDTH": 300_000}
    digest = source.add(DATA + DATA)
    requests.wanted([digest])
    started = timezone.now()
    assert transfer.copy(digest, "n1") == "verified"
    assert 1.4 < (timezone.now() - started).total_seconds() < 4


def test_progress_is_seen_and_the_lease_renewed_while_bytes_flow(digest):
    """Each renewal notes the bytes; rarely, because each is a write."""
    held = taking.take(digest, "n1")
    reader = Metered(io.BytesIO(DATA), lambda sent: rows.renew(held, sent), lambda: 0.0, every=0.0)
    reader.read(1000)
    first = row(digest)
    assert first.sent == 1000
    reader.read(500)
    assert row(digest).sent == 1500
    assert row(digest).lease_until > first.lease_until


def test_unwanted_file_stops_its_transfer(digest, nodes):
    """The transfer notices at its next renewal, ends, and the deletion may go on at once."""
    held = taking.take(digest, "n1")
    reader = Metered(io.BytesIO(DATA), lambda sent: rows.renew(held, sent), lambda: 0.0, every=0.0)
    requests.unwanted([digest])
    with pytest.raises(LeaseLost):
        reader.read(1000)
    assert transfer.delete(digest, "n1") == "idle", "the transfer still holds it"
    rows.release(held)
    assert transfer.delete(digest, "n1") == "deleted"
    assert row(digest).state == "deleted"


def test_deletion_under_way_never_removes_a_newer_copy(digest, nodes):
    """A file that is wanted again while a worker deletes it is copied after the deletion, not during it."""
    transfer.copy(digest, "n1")
    requests.unwanted([digest])
    held = taking.take_tombstone(digest, "n1")
    requests.wanted([digest])
    assert row(digest).state == "pending"
    assert transfer.copy(digest, "n1") == "idle"
    assert not rows.gone(held)
    rows.release(held)
    assert transfer.copy(digest, "n1") == "verified"
    assert nodes[0].files() == {digest: DATA}


def test_reader_tells_a_broken_original_from_a_broken_node():
    """An OSError of the original must not look like one of the connection."""

    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError("the disk is gone")

    reader = Metered(Broken(), bool, float)
    with pytest.raises(SourceError, match="the disk is gone"):
        reader.read(10)
    assert isinstance(reader.fault, SourceError)


def test_killed_transfers_end_with_their_attempts(digest):
    """A file that kills its worker each time is given up, not tried for ever."""
    for _ in range(conf.get().attempts):
        assert not isinstance(taking.take(digest, "n1"), str)
        Replica.objects.filter(node_id="n1").update(lease_until=ago(1))
        reaping.reap()
        Replica.objects.filter(state="pending").update(due_at=F("created_at"))
    assert row(digest).state == "failed"
    assert "without a word" in row(digest).last_error
    assert taking.take(digest, "n1") == "idle"


def test_removed_node_ends_its_transfers(digest):
    """A task for a node that is no longer in the table does nothing."""
    Node.objects.filter(pk="n1").delete()
    assert transfer.copy(digest, "n1") == "idle"
    assert transfer.delete(sha256(b"").hexdigest(), "n1") == "idle"
