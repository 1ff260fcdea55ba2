"""The configuration of nginx that we ship, in a real nginx: what it sends, and what it must not."""

import io
import os
import random
import shutil
import socket
import time
from base64 import b64encode
from hashlib import sha256

import pytest

from balancing.node.client import NodeClient
from balancing.signing import sign
from tests.balancing.node.servers import FAR, RING, Nginx, Server, fails, until

DATA = random.Random(6).randbytes(300_000)
DIGEST = sha256(DATA).hexdigest()
PATH = f"/files/{DIGEST}"

if not shutil.which("nginx"):
    assert not os.environ.get("CI"), "nginx is missing"
    pytest.skip("there is no nginx on this machine", allow_module_level=True)


class Both:
    """A node with an nginx in front, and how to ask nginx."""

    def __init__(self, folder, **more):
        self.server = Server(folder / "files", accel="/files-internal/", **more)
        (folder / "nginx").mkdir()
        self.nginx = Nginx(folder / "nginx", self.server)
        self.client = NodeClient(self.nginx.url, RING)

    def ask(self, *words, **more):
        back, self.server.port = self.server.port, self.nginx.port
        try:
            return self.server.ask(*words, **more)
        finally:
            self.server.port = back

    def close(self):
        self.nginx.kill()
        self.server.kill()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    made = Both(tmp_path_factory.mktemp("accel"))
    made.client.put(DIGEST, len(DATA), io.BytesIO(DATA))
    yield made
    made.close()


def test_node_tells_nginx_the_file(both):
    """The node itself sends nothing but the name, after the signature was checked."""
    answer, data = both.server.ask("GET", PATH)
    assert (answer.status, data) == (200, b"")
    assert answer.headers["X-Accel-Redirect"] == f"/files-internal/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST[4:]}"
    answer, _ = both.server.ask("GET", PATH, signed=False)
    assert (answer.status, answer.headers["X-Accel-Redirect"]) == (401, None)
    for span in ((0, None), (5, 9)):
        with fails("bad_answer"):  # a node without its nginx gives no empty files
            both.server.client.read(DIGEST, *span)


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({}, 200, DATA),
        ({"Range": "bytes=100-199"}, 206, DATA[100:200]),
        ({"Range": "bytes=-7"}, 206, DATA[-7:]),
        ({"Range": "bytes=299999-"}, 206, DATA[-1:]),
        ({"Range": "bytes=0-1,5-6"}, 200, DATA),
        ({"Range": "bytes=5-6", "If-Range": f'"{DIGEST}"'}, 206, DATA[5:7]),
        ({"Range": "bytes=5-6", "If-Range": '"other"'}, 200, DATA),
        ({"If-None-Match": f'"{DIGEST}"'}, 304, b""),
        ({"If-None-Match": '"other"'}, 200, DATA),
    ],
)
def test_files_by_nginx(both, headers, status, expected):
    """Ranges and conditions as the node has them, with the node's tag and digest: clients notice no difference."""
    answer, data = both.ask("GET", PATH, headers)
    assert (answer.status, data == expected) == (status, True)
    assert answer.headers["ETag"] == f'"{DIGEST}"'
    assert answer.headers["Repr-Digest"] == f"sha-256=:{b64encode(bytes.fromhex(DIGEST)).decode()}:"
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer.headers["X-Accel-Redirect"] is None
    assert [len(answer.headers.get_all(name)) for name in ("ETag", "Repr-Digest", "Cache-Control")] == [1, 1, 1]


def test_head_and_wrong_range(both):
    """HEAD has the length, a range behind the end is 416."""
    answer, data = both.ask("HEAD", PATH)
    assert (answer.status, data, answer.headers["Content-Length"]) == (200, b"", "300000")
    answer, _ = both.ask("GET", PATH, {"Range": "bytes=300000-"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */300000")


@pytest.mark.parametrize(
    "target",
    [
        f"/files-internal/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST[4:]}",
        "/files-internal/probe",
        "/files-internal/../files-internal/probe",
        "//files-internal/probe",
        "/files-internal/tmp/",
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_nothing_leads_inside(both, target, signed):
    """The internal location is no address, with and without a signature."""
    answer, data = both.ask("GET", target, signed=signed)
    assert answer.status in {401, 403, 404}
    assert DATA[:100] not in data


def test_without_a_signature(both):
    """401 without, 403 with an expired one or another file's."""
    assert both.ask("GET", PATH, signed=False)[0].status == 401
    assert both.ask("GET", sign("GET", PATH, RING, 1), signed=False)[0].status == 403
    other = sign("GET", f"/files/{'0' * 64}", RING, FAR).replace("0" * 64, DIGEST)
    assert both.ask("GET", other, signed=False)[0].status == 403


def test_log_has_no_signatures(both):
    """Who reads the log cannot fetch what others fetched."""
    both.ask("GET", PATH)
    log = both.nginx.folder / "access.log"
    until(lambda: PATH in log.read_text())
    assert "signature" not in log.read_text()


def test_upload_reaches_the_node_while_it_arrives(both):
    """nginx keeps no copy of its own, and has no opinion about sizes."""
    data = random.Random(7).randbytes(6 << 20)
    digest = sha256(data).hexdigest()
    url = sign("PUT", f"/files/{digest}", RING, FAR)
    with socket.create_connection(("127.0.0.1", both.nginx.port), timeout=20) as sock:
        sock.sendall(f"PUT {url} HTTP/1.1\r\nHost: node\r\nContent-Length: {len(data)}\r\n\r\n".encode())
        sock.sendall(data[: 4 << 20])
        until(lambda: any(path.stat().st_size > 1 << 20 for path in both.server.unfinished()))
        assert both.client.condition().in_flight == 1
        sock.sendall(data[4 << 20 :])
        assert sock.recv(12) == b"HTTP/1.1 201"
    assert both.client.scrub(digest) is True


def test_upload_that_breaks_off(both):
    """The node hears of it, and keeps nothing."""
    url = sign("PUT", f"/files/{'1' * 64}", RING, FAR)
    with socket.create_connection(("127.0.0.1", both.nginx.port), timeout=20) as sock:
        sock.sendall(f"PUT {url} HTTP/1.1\r\nHost: node\r\nContent-Length: 5000000\r\n\r\n".encode() + DATA)
        until(lambda: len(both.server.unfinished()) == 1)
    until(lambda: both.server.unfinished() == [])


def test_downloads_do_not_hold_the_node(both):
    """While nginx sends a file to a client that does not read, the node has nothing to do, and counts nothing."""
    data = random.Random(8).randbytes(48 << 20)
    digest = sha256(data).hexdigest()
    both.client.put(digest, len(data), io.BytesIO(data))
    until(lambda: both.client.condition().in_flight == 0)
    reading = both.client.read(digest)
    next(reading)
    time.sleep(0.2)
    assert both.client.condition().in_flight == 0
    reading.close()


def test_full_node(tmp_path):
    """What the node says before it has read the body comes through."""
    full = Both(tmp_path, reserve=1 << 62)
    try:
        with fails("disk_full"):
            full.client.put(DIGEST, 20_000_000, io.BytesIO(bytes(20_000_000)))
    finally:
        full.close()


def test_node_behind_nginx_dies(tmp_path):
    """nginx's own error page is no answer of a node."""
    dead = Both(tmp_path)
    try:
        dead.server.kill()
        for call in (dead.client.condition, lambda: dead.client.has(DIGEST), lambda: dead.client.read(DIGEST)):
            with fails("bad_answer"):
                call()
    finally:
        dead.close()


def test_probe_goes_the_way_of_files(tmp_path):
    """A node whose nginx does not find the files fails its probe, although the node itself is well."""
    astray = Both(tmp_path)
    try:
        astray.client.condition()
        (astray.server.root / "probe").rename(astray.server.root / "hidden")
        with fails("not_found"):
            astray.client.condition()
        shutil.copytree(astray.server.root, tmp_path / "elsewhere")
        (tmp_path / "elsewhere/hidden").rename(astray.server.root / "probe")
        (astray.server.root / "probe").write_bytes(b"<html>")
        with fails("bad_answer"):
            astray.client.condition()
    finally:
        astray.close()
