"""What a project calls when its files change."""

import socket
import time

import pytest
from django.db import transaction
from django.db.models import F

from balancing.models import Node, Replica
from balancing.replication import reaping, requests, sending
from tests.balancing.replication.world import free_port

pytestmark = pytest.mark.django_db(transaction=True)


def states():
    return {(one.digest, one.node_id): one.state for one in Replica.objects.all()}


@pytest.fixture
def two(db, look):
    made = [Node.objects.create(name=name, url="http://127.0.0.1:1") for name in ("n1", "n2")]
    look()
    return made


@pytest.fixture
def sent(monkeypatch):
    """The tasks that were sent, instead of a broker's queue."""
    found = []
    real = sending.current_app.send_task

    def send_task(name, args, kwargs, **options):
        found.append((name, *args))
        return real(name, args, kwargs, **options)

    monkeypatch.setattr(sending.current_app, "send_task", send_task)
    return found


def test_rows_and_tasks_come_with_the_commit(two, source, sent):
    """One row and one task for each digest and node; nothing before the commit, nothing twice."""
    digest = source.add(b"one")
    with transaction.atomic():
        requests.wanted([digest, digest])
        assert states() == {}
    assert states() == {(digest, "n1"): "pending", (digest, "n2"): "pending"}
    assert sorted(sent) == [("balancing.copy", digest, "n1"), ("balancing.copy", digest, "n2")]
    requests.wanted([digest])
    assert len(sent) == 2, "a task is under way"
    assert Replica.objects.count() == 2


def test_rolled_back_transaction_leaves_nothing(two, source, sent):
    """What was not committed is wanted by nobody."""
    digest = source.add(b"one")
    with transaction.atomic():
        requests.wanted([digest])
        requests.unwanted([digest])
        transaction.set_rollback(True)
    assert states() == {}
    assert sent == []


@pytest.mark.parametrize(("copies", "rows"), [(0, 0), (1, 1), (2, 2), (5, 2), (-1, 2)])
def test_as_many_copies_as_the_source_says(two, source, copies, rows):
    """None, some, or one on every node."""
    digest = source.add(b"one")
    source.limit({digest: copies})
    requests.wanted([digest])
    assert Replica.objects.count() == rows


def test_draining_node_gets_nothing(two, source, look):
    """Nor does a disabled one."""
    Node.objects.filter(name="n1").update(state="draining")
    look()
    digest = source.add(b"one")
    requests.wanted([digest])
    assert states() == {(digest, "n2"): "pending"}


def test_tombstones_and_their_end(two, source, sent):
    """A file that goes leaves tombstones, with a task each; one that is wanted again comes back."""
    digest = source.add(b"one")
    requests.wanted([digest])
    requests.unwanted([digest])
    assert set(states().values()) == {"deleting"}
    assert ("balancing.delete", digest, "n1") in sent
    Replica.objects.update(state="deleted")
    requests.wanted([digest])
    assert set(states().values()) == {"pending"}


def test_file_that_the_source_does_not_want_is_buried(two, source):
    """`wanted` asks the source, which knows of the file's other places."""
    digest = source.add(b"one")
    requests.wanted([digest])
    source.remove(digest)
    requests.wanted([digest])
    assert set(states().values()) == {"deleting"}


def silent():
    """A port that accepts and never answers."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(50)
    return listener


@pytest.mark.parametrize("kind", ["refused", "silent"])
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_broker_that_is_away_is_no_error_and_a_short_wait(two, source, broker, kind, scheme):
    """An uploader waits about a second once; then nobody waits, and the reaper sends what stands in the table."""
    listener = silent()
    port = listener.getsockname()[1] if kind == "silent" else free_port()
    broker.conf.broker_url = f"{scheme}://127.0.0.1:{port}//"
    digests = [source.add(bytes([number])) for number in range(20)]
    started = time.monotonic()
    requests.wanted(digests)
    assert time.monotonic() - started < 3
    started = time.monotonic()
    requests.wanted([source.add(b"another")])
    requests.corrupt(digests[0], "n1", "whatever")
    assert not requests.send("any.task")
    assert not requests.sync()
    assert time.monotonic() - started < 0.5, "the breaker is open"
    listener.close()
    assert Replica.objects.filter(state="pending").count() == 42
    broker.conf.broker_url = "memory://"
    assert reaping.reap() == 0
    sending.breaker.until = 0.0
    assert reaping.reap() == 2 * reaping.SHARE * 4, "a share for each node, whose tasks go on with the others"
    assert reaping.reap() == 42 - 32
    assert reaping.reap() == 0


def test_send_takes_tasks_and_names(two, broker):
    """For the project's own tasks: the same bounded wait."""
    from balancing.replication import tasks

    assert requests.send(tasks.compare, "n1")
    assert requests.send("balancing.scrub", "n1", everything=True)
    assert requests.verify("n1")
    assert requests.sync("n1")


def test_large_request_sends_a_part_and_leaves_the_rest(two, source, sent):
    """A bulk import does not keep its request for a thousand messages: tasks go on with what else waits."""
    requests.wanted([source.add(b"%d" % number) for number in range(150)])
    assert Replica.objects.count() == 300
    assert [node for _, _, node in sent] == ["n1", "n2"] * 16


def test_one_node_cannot_keep_the_reaper_from_another(two, source, look, monkeypatch):
    """However many rows wait for the first node, the second gets its share of tasks in the same run."""
    monkeypatch.setattr(reaping, "WINDOW", 40)
    Node.objects.filter(name="n2").update(state="draining")
    look()
    requests.wanted([source.add(b"%d" % number) for number in range(120)])
    Node.objects.filter(name="n2").update(state="active")
    look()
    requests.wanted([source.add(b"last")])
    Replica.objects.update(due_at=F("created_at"))
    assert reaping.reap() == 16 + 1
