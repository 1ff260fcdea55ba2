"""A mirror node behind a real gunicorn, and its client."""

import http.client
import io
import os
import random
import select
import socket
from base64 import b64encode
from hashlib import sha256

import pytest

from balancing.backends import NodeError
from balancing.node.client import NodeClient
from balancing.signing import sign
from tests.balancing.node.servers import FAR, RING, Server, until

DATA = random.Random(1).randbytes(300_000)  # the same for every test process, which must collect the same tests
DIGEST = sha256(DATA).hexdigest()
PATH = f"/files/{DIGEST}"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("node") / "files")
    yield server
    server.kill()


@pytest.fixture
def filled(node):
    node.client.put(DIGEST, len(DATA), io.BytesIO(DATA))
    return node


def test_put_get_delete(node):
    """The life of a copy."""
    node.client.put(DIGEST, len(DATA), io.BytesIO(DATA))
    assert node.client.has(DIGEST) == len(DATA)
    answer, data = node.ask("GET", PATH)
    assert (answer.status, data == DATA, answer.headers["ETag"]) == (200, True, f'"{DIGEST}"')
    node.client.delete(DIGEST)
    node.client.delete(DIGEST)
    assert node.client.has(DIGEST) is None
    assert node.ask("GET", PATH)[0].status == 404


def test_empty_file(node):
    """No bytes are a file too."""
    digest = sha256(b"").hexdigest()
    node.client.put(digest, 0, io.BytesIO())
    answer, data = node.ask("GET", f"/files/{digest}")
    assert (answer.status, data) == (200, b"")


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({"Range": "bytes=100-199"}, 206, DATA[100:200]),
        ({"Range": "bytes=-7"}, 206, DATA[-7:]),
        ({"Range": "bytes=299999-"}, 206, DATA[-1:]),
        ({"Range": "bytes=0-1,5-6"}, 200, DATA),
        ({"Range": "bytes=5-6", "If-Range": f'"{DIGEST}"'}, 206, DATA[5:7]),
        ({"Range": "bytes=5-6", "If-Range": '"other"'}, 200, DATA),
        ({"If-None-Match": f'"{DIGEST}"'}, 304, b""),
    ],
)
def test_parts_of_a_file(filled, headers, status, expected):
    """Ranges and conditions, through the server's sendfile."""
    answer, data = filled.ask("GET", PATH, headers=headers)
    assert (answer.status, data == expected) == (status, True)
    if status == 206:
        assert answer.headers["Content-Range"].endswith(f"/{len(DATA)}")
        assert filled.ask("HEAD", PATH, headers=headers)[0].headers["Content-Length"] == str(len(expected))


def test_range_behind_the_end(filled):
    """416 with the size, so that a client can ask anew."""
    answer, _ = filled.ask("GET", PATH, headers={"Range": "bytes=300000-"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */300000")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", PATH),
        ("PUT", PATH),
        ("DELETE", PATH),
        ("GET", "/inventory"),
        ("POST", "/scrub"),
        ("GET", "/probe"),
        ("GET", "/else"),
    ],
)
def test_nothing_but_health_is_open(filled, method, target):
    """Without a signature nothing is told, not even what exists; a signature for another request is refused."""
    assert filled.ask(method, target, signed=False)[0].status == 401
    url = sign("POST", "/other", RING, FAR).replace("/other", target)
    assert filled.ask(method, url, signed=False)[0].status == 403
    assert filled.ask(method, sign(method, target, RING, 1), signed=False)[0].status == 403
    assert filled.client.has(DIGEST) == len(DATA)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", PATH, 405),
        ("GET", "/scrub", 405),
        ("DELETE", "/inventory", 405),
        ("GET", "/", 404),
        ("GET", "/files/", 404),
        ("GET", "/files/../../etc/passwd", 404),
        ("POST", "/scrub", 404),
        ("GET", "/inventory?limit=x", 200),
        ("GET", "/inventory?limit=-1", 200),
        ("GET", "/inventory?after=zz", 200),
    ],
)
def test_strange_requests(node, method, target, status):
    """Each has its answer, and none is a fault of the server."""
    assert node.ask(method, target)[0].status == status


def test_connection_is_kept(filled):
    """Several requests go over one connection, also after a range and a refusal."""
    connection = http.client.HTTPConnection("127.0.0.1", filled.port, timeout=20)
    connection.connect()
    used = connection.sock
    for headers, signed in (({}, True), ({"Range": "bytes=1-9"}, True), ({}, False), ({}, True)):
        connection.request("GET", sign("GET", PATH, RING, FAR) if signed else PATH, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert (answer.version, connection.sock is used) == (11, True)
    connection.close()


def test_digest_is_told(filled):
    """Repr-Digest (RFC 9530) is that of the whole file, beside a part of it and in an answer to HEAD too."""
    expected = f"sha-256=:{b64encode(bytes.fromhex(DIGEST)).decode()}:"
    for method, headers in (("GET", {}), ("GET", {"Range": "bytes=1-9"}), ("HEAD", {})):
        assert filled.ask(method, PATH, headers)[0].headers["Repr-Digest"] == expected


def test_body_without_a_length(node):
    """A file of unknown size could not be refused in time."""
    answer, _ = node.ask("PUT", PATH, body=iter([b"abc"]), headers={"Transfer-Encoding": "chunked"})
    assert answer.status == 411


@pytest.mark.parametrize(("data", "code"), [(b"x" * len(DATA), "digest_mismatch"), (DATA[:-1], "digest_mismatch")])
def test_wrong_bytes(node, data, code):
    """The node believes only what it has hashed itself."""
    node.client.delete(DIGEST)
    with pytest.raises(NodeError) as caught:
        node.client.put(DIGEST, len(data), io.BytesIO(data))
    assert (caught.value.code, caught.value.retryable) == (code, False)
    assert node.client.has(DIGEST) is None
    assert node.unfinished() == []


def test_sender_that_leaves_in_the_middle(node):
    """A broken upload leaves nothing behind."""
    node.client.delete(DIGEST)
    with pytest.raises(NodeError) as caught:
        node.client.put(DIGEST, len(DATA), io.BytesIO(DATA[:1000]))
    assert caught.value.retryable
    until(lambda: node.unfinished() == [])
    assert node.client.has(DIGEST) is None


def test_inventory_and_scrub(filled):
    """What the node has, and that a damaged file is found and removed."""
    other = sha256(b"other").hexdigest()
    filled.client.put(other, 5, io.BytesIO(b"other"))
    first = filled.client.inventory(limit=1)
    rest = filled.client.inventory(first.after)
    assert {(DIGEST, len(DATA)), (other, 5)} <= set(first.files + rest.files)
    assert filled.client.scrub(DIGEST) is True
    path = filled.root / DIGEST[:2] / DIGEST[2:4] / DIGEST[4:]
    path.write_bytes(b"?" + DATA[1:])
    assert filled.client.scrub(DIGEST) is False
    assert filled.client.has(DIGEST) is None


def test_health_counts_transfers(filled):
    """A transfer that waits for its client is in flight, and is gone when the client is."""
    big = os.urandom(1 << 20) * 64
    digest = sha256(big).hexdigest()
    filled.client.put(digest, len(big), io.BytesIO(big))
    until(lambda: filled.client.condition().in_flight == 0)
    with socket.create_connection(("127.0.0.1", filled.port), timeout=20) as sock:
        url = sign("GET", f"/files/{digest}", RING, FAR)
        sock.sendall(f"GET {url} HTTP/1.1\r\nHost: node\r\n\r\n".encode())
        assert sock.recv(9) == b"HTTP/1.1 "
        assert filled.client.condition().in_flight == 1
    until(lambda: filled.client.condition().in_flight == 0)
    assert filled.client.condition().free > 0
    filled.client.delete(digest)


@pytest.mark.parametrize("size", [1000, 20_000_000])
def test_full_disk_is_told(tmp_path, size):
    """A node whose reserve is touched refuses by name, also while a large file is still being sent."""
    node = Server(tmp_path / "files", reserve=1 << 62)
    try:
        assert node.client.condition().free == 0
        with pytest.raises(NodeError) as caught:
            node.client.put(DIGEST, size, io.BytesIO(bytes(size)))
        assert (caught.value.code, caught.value.retryable) == ("disk_full", True)
    finally:
        node.kill()


def test_sender_who_is_refused_may_end_his_sentence(node):
    """A refusal resets no connection on which the body is still sent: a proxy would take that for a dead node."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as sock:
        unsigned = f"PUT {PATH} HTTP/1.1\r\nHost: node\r\nContent-Length: 20000000\r\n\r\n"
        sock.sendall(unsigned.encode())
        assert select.select([sock], [], [], 20)[0]  # it has answered
        for _ in range(20):
            sock.sendall(bytes(1_000_000))
        assert sock.recv(12) == b"HTTP/1.1 401"


def test_kill_in_the_middle_of_an_upload(tmp_path):
    """After kill -9 there is no half file under any name that is served, and a restart clears the rest."""
    node = Server(tmp_path / "files")
    try:
        with socket.create_connection(("127.0.0.1", node.port), timeout=20) as sock:
            url = sign("PUT", PATH, RING, FAR)
            head = f"PUT {url} HTTP/1.1\r\nHost: node\r\nContent-Length: {len(DATA)}\r\n\r\n"
            sock.sendall(head.encode() + DATA[:200_000])
            until(lambda: len(node.unfinished()) == 1)
            node.kill()
        assert len(node.unfinished()) == 1
        node.start()
        assert node.unfinished() == []
        assert node.client.inventory().files == ()
        node.client.put(DIGEST, len(DATA), io.BytesIO(DATA))
        assert node.client.scrub(DIGEST) is True
    finally:
        node.kill()


def test_node_that_is_away():
    """An error with a code, and worth another try."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        client = NodeClient(f"http://127.0.0.1:{sock.getsockname()[1]}", RING, timeout=5)
        with pytest.raises(NodeError) as caught:
            client.condition()
    assert (caught.value.code, caught.value.retryable) == ("unreachable", True)


@pytest.mark.parametrize("url", ["", "ftp://host", "http://", "host:80"])
def test_wrong_urls(url):
    """A URL that is none is refused where it is written."""
    with pytest.raises(ValueError, match="http"):
        NodeClient(url, RING)
