"""A stream survives what happens to nodes: real node processes are killed, stopped and spoiled while it runs."""

import threading
import time
from hashlib import sha256
from itertools import islice

import pytest

from balancing import turns
from balancing.proxying import SMALL, TRIES, Ended, stream
from tests.balancing.streams import DIGESTS, LARGE, LITTLE, Diary, Storage, away, run


@pytest.fixture
def diary():
    return Diary()


@pytest.fixture
def storage():
    return Storage()


@pytest.mark.parametrize("data", [LARGE, LITTLE], ids=["large", "little"])
@pytest.mark.parametrize("span", [(0, None), (0, 1), (70_000, 290_000), (299_999, 300_000), (5, 5)])
def test_first_node_serves(fleet_of_two, storage, diary, data, span):
    """The first node's bytes, whole or in part, in blocks of bounded size, and it has done well."""
    start, end = span[0], len(data) if span[1] is None else span[1]
    blocks = list(run(data, fleet_of_two.nodes(), storage, diary, start, end))
    assert b"".join(blocks) == data[start:end]
    assert max(map(len, blocks), default=0) <= 1 << 18
    assert diary.outcomes == ([("node-0", True, "")] if start < end else [])
    assert storage.asked == []


@pytest.mark.parametrize("start", [0, 1_000_000])
def test_node_killed_in_the_middle(fleet_of_two, storage, diary, start):
    """kill -9 while its bytes flow: the other goes on at the same byte, and the first alone is blamed."""
    blocks = run(LARGE, fleet_of_two.nodes(), storage, diary, start)
    found = [next(blocks) for _ in range(10)]
    fleet_of_two.servers[0].kill()
    found += blocks
    assert b"".join(found) == LARGE[start:]
    assert [outcome[:2] for outcome in diary.outcomes] == [("node-0", False), ("node-1", True)]
    assert diary.ended[0].size + diary.ended[1].size == len(LARGE) - start
    assert diary.ended[0].size > 0
    assert diary.ended[0].reason in {"incomplete", "unreachable"}


def test_node_stopped_in_the_middle(fleet_of_two, storage, diary):
    """A node that hangs is left after the time-out."""
    blocks = run(LARGE, fleet_of_two.nodes(timeout=0.5), storage, diary)
    found = [next(blocks) for _ in range(10)]
    fleet_of_two.servers[0].stop()
    began = time.monotonic()
    found += blocks
    assert time.monotonic() - began < 10
    assert b"".join(found) == LARGE
    assert diary.outcomes == [("node-0", False, "too_slow"), ("node-1", True, "")]


@pytest.mark.parametrize("data", [LARGE, LITTLE], ids=["large", "little"])
@pytest.mark.parametrize("span", [(0, None), (100, 250_000)])
def test_all_nodes_dead(diary, data, span):
    """The project's own storage serves; every node that was tried is blamed."""
    storage, end = Storage(data), len(data) if span[1] is None else span[1]
    nodes = [("a", away()), ("b", away())]
    assert b"".join(run(data, nodes, storage, diary, span[0], end)) == data[span[0] : end]
    assert diary.outcomes == [("a", False, "unreachable"), ("b", False, "unreachable")]
    assert storage.asked == [(span[0], end)]


def test_storage_goes_on_in_the_middle(fleet_of_two, diary):
    """The last node dies: our own storage is asked for the rest and nothing else."""
    storage = Storage(LARGE)
    blocks = run(LARGE, fleet_of_two.nodes()[:1], storage, diary)
    found = [next(blocks) for _ in range(3)]
    fleet_of_two.servers[0].kill()
    found += blocks
    assert b"".join(found) == LARGE
    assert storage.asked == [(diary.ended[0].size, len(LARGE))]


@pytest.mark.parametrize("data", [LARGE, LITTLE], ids=["large", "little"])
@pytest.mark.parametrize("nodes", [0, 2])
def test_nothing_is_left(diary, data, nodes):
    """Everything fails before the first byte: the storage's own error comes before a response is begun."""
    with pytest.raises(OSError, match="the disk is gone"):
        run(data, [(f"{n}", away()) for n in range(nodes)], Storage(data, fails_at=0), diary)
    assert len(diary.outcomes) == nodes


def test_nothing_is_left_in_the_middle(fleet_of_two, diary):
    """Everything fails after the first byte: the stream breaks off and says so."""
    blocks = run(LARGE, fleet_of_two.nodes()[:1], Storage(LARGE, fails_at=0), diary)
    next(blocks)
    fleet_of_two.servers[0].kill()
    with pytest.raises(OSError, match="the disk is gone"):
        list(blocks)


def test_tries_are_bounded(diary):
    """Of many dead nodes only some are tried, and the rest are not even asked for."""
    made = []

    def nodes():
        for number in range(50):
            made.append(number)
            yield f"{number}", away()

    assert b"".join(run(LITTLE, nodes(), Storage(LITTLE), diary)) == LITTLE
    assert len(diary.outcomes) == len(made) == TRIES


@pytest.mark.parametrize("taken", [0, 1, 20])
def test_client_that_leaves(fleet_of_two, storage, diary, taken):
    """A stream that is closed early says nothing of the node, and the node's transfer ends."""
    blocks = run(LARGE, fleet_of_two.nodes(), storage, diary)
    list(islice(blocks, taken))
    blocks.close()
    blocks.close()
    assert diary.outcomes == [("node-0", None, "closed")]
    end = time.monotonic() + 10
    client = fleet_of_two.nodes()[0][1]
    while client.condition().in_flight and time.monotonic() < end:
        time.sleep(0.02)
    assert client.condition().in_flight == 0


def test_slow_client_is_not_the_nodes_fault(fleet_of_two, diary, monkeypatch):
    """A node that gave up on a client that did not read is not blamed, and its time does not count the client's."""
    monkeypatch.setattr(turns, "PATIENCE", 0.2)
    blocks = run(LARGE, fleet_of_two.nodes(), Storage(), diary)
    next(blocks)
    next(blocks)
    time.sleep(0.5)
    fleet_of_two.servers[0].kill()
    list(blocks)
    assert diary.outcomes == [("node-0", None, "slow_client"), ("node-1", True, "")]
    assert diary.ended[0].seconds < 0.5


@pytest.mark.parametrize("span", [(-1, 5), (5, 3), (0, len(LITTLE) + 1)])
def test_spans_that_are_none(storage, diary, span):
    """The caller's mistake is told at once."""
    with pytest.raises(ValueError, match="no part"):
        run(LITTLE, [], storage, diary, *span)


def test_empty_file_needs_nobody(storage, diary):
    """No bytes are sent without asking anybody."""
    assert list(stream(sha256(b"").hexdigest(), 0, (0, 0), [("a", away())], storage, diary.listener)) == []
    assert diary.opened == []


def test_border_of_small(fleet_of_two, diary):
    """The largest file that is checked before it is sent, and the smallest that is not."""
    for size in (SMALL, SMALL + 1):
        data = LARGE[:size]
        DIGESTS[data] = sha256(data).hexdigest()
        fleet_of_two.plant(0, data, data)
        assert b"".join(run(data, fleet_of_two.nodes(), Storage(), Diary())) == data
        del DIGESTS[data]


def test_many_streams_while_a_node_dies(fleet_of_two):
    """20 at once, and one of two nodes is killed: every stream is whole."""
    data = LARGE[: 12 << 20]
    diaries, found = [Diary() for _ in range(20)], {}
    DIGESTS[data] = sha256(data).hexdigest()
    fleet_of_two.plant(0, data, data)
    fleet_of_two.plant(1, data, data)
    started = threading.Barrier(21, timeout=60)

    def work(number):
        nodes = fleet_of_two.nodes(timeout=20)
        blocks = run(data, nodes if number % 2 else nodes[::-1], Storage(data), diaries[number])
        hashed = sha256(next(blocks))
        started.wait()
        for block in blocks:
            hashed.update(block)
        found[number] = hashed.hexdigest()

    threads = [threading.Thread(target=work, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    started.wait()
    fleet_of_two.servers[0].kill()
    for thread in threads:
        thread.join(90)
    digest = DIGESTS.pop(data)
    assert found == dict.fromkeys(range(20), digest)
    assert {end.node for diary in diaries for end in diary.ended if end.ok is False} == {"node-0"}
    assert sum(isinstance(end, Ended) and end.ok is True for diary in diaries for end in diary.ended) == 20
