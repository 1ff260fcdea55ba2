"""Refusals reach clients that are busy sending, and no client holds a thread: real gunicorn, raw sockets."""

import socket
import time

import httpx
import pytest

from pkgindex.accounts.tokens import seal
from tests.support.distributions import wheel
from tests.support.live import LiveServer
from tests.support.uploads import RawUpload, upload_body, wait_until

WRONG = ("__token__", seal(99))
PIECE = b"x" * (1 << 20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with LiveServer(tmp_path_factory.mktemp("live"), threads=4) as running:
        yield running


def spooled(server: LiveServer) -> list:
    folder = server.directory / "spool"
    return list(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(("auth", "status"), [(None, 401), (WRONG, 401)])
def test_head_alone_is_answered_at_once(server, auth, status):
    """A client that has sent no byte of its body has its answer at once: the 200 MiB it announced never come."""
    with RawUpload(server.port, auth=auth) as client:
        began = time.monotonic()
        client.send_head(200 << 20)
        answer = client.read_answer()
        assert time.monotonic() - began < 10
    assert answer[0] == status


def test_client_in_the_middle_of_a_large_body_reads_the_answer(server):
    """200 MiB are sent to the last byte before the client looks up: no reset, and the sentence is there."""
    with RawUpload(server.port, auth=WRONG) as client:
        client.send_head(200 << 20)
        for _ in range(200):
            client.send(PIECE)
        status, reason, body = client.read_answer()
    assert status == 401
    assert reason == body == "This token is not known here."


def test_connection_is_good_for_the_next_request(server):
    """After a refused body was thrown away, the kept connection starts a new request at the right byte."""
    body = upload_body(*wheel())
    with RawUpload(server.port, auth=WRONG) as client:
        for _ in range(2):
            client.send_head(3 << 20)
            client.send(PIECE * 3)
            assert client.read_answer()[0] == 401
        client.auth = server.auth
        client.send_head(len(body))
        client.send(body)
        assert client.read_answer()[0] == 200


def test_refusal_in_the_middle_of_the_body_is_read(server):
    """What the parser refuses at the file's beginning is answered, though the client goes on sending the file."""
    body = upload_body("../acme-1.0-py3-none-any.whl", b"x" * (30 << 20))
    answer = httpx.post(
        f"{server.url}/legacy/",
        content=body,
        auth=server.auth,
        headers={"Content-Type": "multipart/form-data; boundary=----pkgindex0123456789abcdef"},
    )
    assert answer.status_code == 400
    assert answer.text.startswith("Invalid filename")
    assert spooled(server) == []


def test_chunked_body_is_refused_and_read_away(server):
    """A chunked upload gets 411 and its sentence, also when it is large."""

    def pieces():
        for _ in range(20):
            yield PIECE

    answer = httpx.post(f"{server.url}/legacy/", content=pieces(), auth=server.auth)
    assert answer.status_code == 411
    assert answer.reason_phrase == "An upload needs a Content-Length header; chunked bodies are not accepted."


def test_expect_continue_is_answered(server):
    """curl asks before it sends a large body; it is told the refusal and no more."""
    with RawUpload(server.port, auth=WRONG, headers=("Expect: 100-continue",)) as client:
        client.send_head(100 << 20)
        first = client.sock.recv(65536)
        assert first.startswith(b"HTTP/1.1 100")
        rest = first.partition(b"\r\n\r\n")[2] or client.sock.recv(65536)
        assert rest.startswith(b"HTTP/1.1 401")


def test_refused_client_that_stops_frees_its_thread(server):
    """Silent after a refusal, a client is let go within seconds."""
    clients = []
    try:
        for _ in range(4):
            client = RawUpload(server.port, auth=WRONG).__enter__()
            client.send_head(10 << 20)
            assert client.read_answer()[0] == 401
            clients.append(client)
        began = time.monotonic()
        # Every thread is lingering now; this one waits for the first that gives up.
        assert httpx.get(f"{server.url}/legacy/", timeout=10).status_code == 405
        assert time.monotonic() - began < 9
    finally:
        for client in clients:
            client.__exit__()


def test_lost_connection_leaves_nothing(server):
    """A client that goes away in the middle of the file leaves no spool file, no row and no blob."""
    body = upload_body("gone-1.0-py3-none-any.whl", b"x" * (8 << 20), name="gone")
    for sent in (0.1, 0.5, 0.99):
        with RawUpload(server.port, auth=server.auth) as client:
            client.send_head(len(body))
            client.send(body[: int(len(body) * sent)])
            wait_until(lambda: spooled(server))
        wait_until(lambda: not spooled(server))
    assert server.evaluate("Project.objects.filter(name='gone').count()") == 0


def test_half_closed_connection_is_told(server):
    """A client that ends its side early is told how much arrived."""
    body = upload_body(*wheel())
    with RawUpload(server.port, auth=server.auth) as client:
        client.send_head(len(body))
        client.send(body[:-10])
        client.sock.shutdown(socket.SHUT_WR)
        status, reason, _ = client.read_answer()
    assert status == 400
    assert reason == f"The upload ended after {len(body) - 10} of {len(body)} bytes, or took too long."
