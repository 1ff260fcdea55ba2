"""Clients that stop or drip are given up in bounded time: gunicorn's own body reader on a real connection."""

import socket
import threading
import time

import pytest
from django.core.handlers.wsgi import WSGIRequest
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader

from pkgindex.upload import linger, request
from pkgindex.upload.linger import LingeringResponse
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
