"""Copies that are damaged and servers that send something else: no client gets a whole file of wrong bytes."""

import pytest

from balancing.node.client import NodeClient
from tests.balancing.node.servers import HTML, RING, dripping, fails, misbehaving, saying, silent
from tests.balancing.streams import DIGESTS, LARGE, LITTLE, Diary, Storage, run, until_it_breaks


@pytest.fixture
def diary():
    return Diary()


@pytest.fixture
def storage():
    return Storage()


@pytest.mark.parametrize("data", [LARGE, LITTLE], ids=["large", "little"])
@pytest.mark.parametrize("length", [0, 1000])
def test_truncated_copy(fleet_of_two, storage, diary, data, length):
    """A copy that is shorter than the file is noticed before a byte of it is sent."""
    fleet_of_two.plant(0, data, data[:length])
    assert b"".join(run(data, fleet_of_two.nodes(), storage, diary)) == data
    assert diary.outcomes[0][:2] == ("node-0", False)
    assert diary.outcomes[0][2] in {"incomplete", "range_not_satisfiable"}
    assert diary.outcomes[1:] == [("node-1", True, "")]


@pytest.mark.parametrize("span", [(0, 300_000), (100, 200)])
def test_small_file_that_is_damaged(fleet_of_two, storage, diary, span):
    """A flipped bit anywhere: the copy is found out, also where only a sound part was wanted, and replaced unseen."""
    fleet_of_two.plant(0, LITTLE, LITTLE[:-1] + bytes([LITTLE[-1] ^ 1]))
    assert b"".join(run(LITTLE, fleet_of_two.nodes(), storage, diary, *span)) == LITTLE[slice(*span)]
    assert diary.outcomes == [("node-0", False, "corrupt"), ("node-1", True, "")]
    assert diary.doubted == ["node-0"]


@pytest.mark.parametrize("at", [0, len(LARGE) // 2, len(LARGE) - 1])
def test_large_file_that_is_damaged(fleet_of_two, storage, diary, at):
    """The end is held back, the stream breaks off, and the node is told of; asked again, the next serves."""
    fleet_of_two.plant(0, LARGE, LARGE[:at] + bytes([LARGE[at] ^ 1]) + LARGE[at + 1 :])
    found, code = until_it_breaks(lambda: run(LARGE, fleet_of_two.nodes(), storage, diary))
    assert code == "digest_mismatch"
    assert len(found) < len(LARGE)
    assert diary.outcomes == [("node-0", False, "corrupt")]
    assert diary.doubted == ["node-0"]
    assert b"".join(run(LARGE, fleet_of_two.nodes()[1:], storage, Diary())) == LARGE


def test_damage_in_a_file_from_two_nodes(fleet_of_two, storage, diary):
    """Where two nodes gave bytes either may be guilty: both are doubted, none is called corrupt."""
    fleet_of_two.plant(0, LARGE, b"?" + LARGE[1:])
    blocks = run(LARGE, fleet_of_two.nodes(), storage, diary)
    next(blocks)
    fleet_of_two.servers[0].kill()
    with fails("digest_mismatch"):
        list(blocks)
    assert diary.outcomes[1] == ("node-1", None, "doubtful")
    assert diary.doubted == ["node-0", "node-1"]


@pytest.mark.parametrize("data", [LARGE, LITTLE], ids=["large", "little"])
@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (saying(HTML), "bad_answer"),
        (saying(b"HTTP/1.1 206 Partial Content\r\nContent-Length: 15\r\n\r\n<h1>Sign in</h1"), "bad_answer"),
        (saying(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), "bad_answer"),
        (saying(b"\x00\xff nothing that is HTTP\r\n\r\n"), "unreachable"),
        (saying(b""), "unreachable"),
        (silent, "too_slow"),
        (dripping(b"HTTP/1.1 200 OK\r\nX: "), "too_slow"),
    ],
    ids=["html", "html-part", "500", "noise", "closes", "silent", "drips"],
)
def test_first_node_misbehaves(fleet_of_two, storage, diary, data, behave, reason):
    """Whatever answers instead of a node, the next one serves and the right one is blamed."""
    with misbehaving(behave) as port:
        nodes = [("bad", NodeClient(f"http://127.0.0.1:{port}", RING, timeout=0.3)), fleet_of_two.nodes()[1]]
        assert b"".join(run(data, nodes, storage, diary)) == data
    assert diary.outcomes == [("bad", False, reason), ("node-1", True, "")]


def test_node_that_drips_its_body(fleet_of_two, storage, diary):
    """A node that sends a byte now and then is left, although it never is silent for long."""
    head = f'HTTP/1.1 206 Partial Content\r\nETag: "{DIGESTS[LARGE]}"\r\nContent-Length: {len(LARGE)}\r\n'
    head += f"Content-Range: bytes 0-{len(LARGE) - 1}/{len(LARGE)}\r\n\r\n"
    with misbehaving(dripping(head.encode(), LARGE[:1000])) as port:
        nodes = [("bad", NodeClient(f"http://127.0.0.1:{port}", RING, timeout=0.3)), fleet_of_two.nodes()[1]]
        assert b"".join(run(LARGE, nodes, storage, diary)) == LARGE
    assert diary.outcomes == [("bad", False, "too_slow"), ("node-1", True, "")]


@pytest.mark.parametrize("data", [LARGE, LITTLE], ids=["large", "little"])
@pytest.mark.parametrize("spoil", [lambda data: data[:1000], lambda data: b"?" + data[1:]], ids=["short", "wrong"])
def test_storage_that_is_spoiled(diary, data, spoil):
    """Our own storage is believed no more than a node: the client never has as many wrong bytes as were announced."""
    found, code = until_it_breaks(lambda: run(data, [], Storage(spoil(data)), diary))
    assert code in {"incomplete", "digest_mismatch"}
    assert len(found) < len(data)


def test_storage_that_gives_too_much(diary):
    """No more than the part that was asked for is sent."""

    def too_much(start, end):
        yield LARGE

    with fails("incomplete"):
        list(run(LARGE, [], too_much, diary, 0, 1000))
