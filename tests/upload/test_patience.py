"""Clients that stop or drip are given up in bounded time: gunicorn's own body reader on a real connection."""

import os
import socket
import threading
import time

import pytest
from django.core.handlers.wsgi import WSGIRequest
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader

from pkgindex.upload import linger, request
from pkgindex.upload.linger import LingeringResponse
from pkgindex.upload.patience import Watch, bounded
from pkgindex.upload.request import UploadInterrupted, read_form
from tests.support.distributions import wheel
from tests.support.uploads import KIND, upload_body

DRIP = 0.05  # seconds


@pytest.fixture
def pair():
    """A connection: the client's end and the server's."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def request_on(connection: socket.socket, length: int) -> WSGIRequest:
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": KIND,
        "CONTENT_LENGTH": str(length),
        "wsgi.input": Body(LengthReader(SocketUnreader(connection), length)),
        "wsgi.input_terminated": True,
        "gunicorn.socket": connection,
    }
    return WSGIRequest(environ)


@pytest.fixture
def dripping(pair):
    """The client sends a byte every twentieth of a second until the test is over."""
    over = threading.Event()

    def drip() -> None:
        while not over.wait(DRIP):
            try:
                pair[0].send(b"x")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    yield
    over.set()
    thread.join(5)


def test_silent_client_is_told(pair, monkeypatch):
    """A client that stops in the middle of its file is refused after the time limit."""
    monkeypatch.setattr(request, "SILENCE", 0.2)
    body = upload_body(*wheel())
    pair[0].send(body[:-100])
    began = time.monotonic()
    with pytest.raises(UploadInterrupted, match="Nothing was received for"):
        read_form(request_on(pair[1], len(body)), 1 << 20, lambda _fields, _filename: None)
    assert time.monotonic() - began < 20


@pytest.mark.usefixtures("dripping")
def test_dripping_upload_is_cut(pair, monkeypatch):
    """A client that never pauses for long and never ends is cut at the slowest rate that is allowed."""
    monkeypatch.setattr(request, "SILENCE", 0.3)
    monkeypatch.setattr(request, "SLOWEST", 1 << 20)
    body = upload_body(*wheel())
    pair[0].send(body[:500])
    began = time.monotonic()
    with pytest.raises(UploadInterrupted, match="or took too long"):
        read_form(request_on(pair[1], 1 << 18), 1 << 20, lambda _fields, _filename: None)
    assert 0.6 < time.monotonic() - began < 20


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("dripping")
def test_dripping_after_a_refusal_is_cut(pair, monkeypatch):
    """Reading away the rest of a refused body ends, whatever the client does."""
    monkeypatch.setattr(linger, "LINGER_SECONDS", 0.5)
    began = time.monotonic()
    LingeringResponse(request_on(pair[1], 1 << 20), "No.").close()
    assert 0.4 < time.monotonic() - began < 20


@pytest.mark.django_db(transaction=True)
def test_lingering_ends_after_its_bytes(pair, monkeypatch):
    """Of an endless body only so much is read away."""
    monkeypatch.setattr(linger, "LINGER_BYTES", 100_000)
    pair[0].setblocking(False)
    sent = pair[0].send(b"x" * 150_000)
    assert sent > 110_000
    answered = request_on(pair[1], 1 << 30)
    LingeringResponse(answered, "No.").close()
    assert answered.META["wsgi.input"].reader.length == (1 << 30) - 100_000


def test_time_limits_are_taken_back(pair):
    """The connection is as blocking afterwards as before: it may serve another request."""
    body = upload_body(*wheel())
    pair[0].send(body)
    read_form(request_on(pair[1], len(body)), 1 << 20, lambda _fields, _filename: None).discard()
    assert pair[1].gettimeout() is None


def test_one_thread_ends_each_connection_in_its_time():
    """Whichever was registered first: what is due is ended, what was left before or is due later is not."""
    watch, pairs = Watch(), [socket.socketpair() for _ in range(3)]
    threads = threading.active_count()
    with watch.over(pairs[0][1], 60), watch.over(pairs[1][1], 0.2):
        with watch.over(pairs[2][1], 0.1):
            pass
        assert threading.active_count() == threads + 1
        pairs[1][1].settimeout(20)
        assert pairs[1][1].recv(1) == b""
        time.sleep(0.1)
        for other in (pairs[0], pairs[2]):
            other[0].send(b"x")
            assert other[1].recv(1) == b"x"
    for pair in pairs:
        for end in pair:
            end.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_worker_watches_too(pair):
    """A worker that was forked from a process which had watched before has a thread of its own."""
    environ = {"gunicorn.socket": pair[1]}
    with bounded(environ, silence=60, total=60):
        child = os.fork()
        if not child:
            with bounded(environ, silence=20, total=0.2):
                os._exit(0 if pair[1].recv(1) == b"" else 1)
    assert os.waitpid(child, 0)[1] == 0
