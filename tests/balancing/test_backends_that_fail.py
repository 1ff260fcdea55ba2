"""Nodes that are away, hang, drip or are none: every call ends soon, with an error that says so."""

import io
import random
import time
from hashlib import sha256

import pytest

from balancing.backends import NodeError
from tests.balancing import s3service
from tests.balancing.kinds import ByBucket, ByServer
from tests.balancing.node.servers import HTML, dripping, fails, misbehaving, saying, silent
from tests.standalone.servers import free_port

DATA = random.Random(2).randbytes(200_000)
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3service.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3service.SECRET)


EVERY_CALL = [
    lambda node: node.put(DIGEST, len(DATA), io.BytesIO(DATA)),
    lambda node: node.has(DIGEST),
    lambda node: b"".join(node.read(DIGEST)),
    lambda node: node.delete(DIGEST),
    lambda node: node.inventory(),
    lambda node: node.scrub(DIGEST),
    lambda node: node.condition(),
]
CALLS = ["put", "has", "read", "delete", "inventory", "scrub", "condition"]


@pytest.mark.parametrize("kind_of", [ByServer, ByBucket], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("call", EVERY_CALL, ids=CALLS)
class TestEveryBackendFails:
    """Every call to a node that fails ends soon and with a NodeError that may be tried again."""

    def fail(self, kind_of, call, port, timeout=0.3):
        node = kind_of.at(None, f"http://127.0.0.1:{port}", timeout=timeout)
        began = time.monotonic()
        with pytest.raises(NodeError) as caught:
            call(node)
        assert time.monotonic() - began < 6
        assert caught.value.retryable
        assert s3service.KEY not in str(caught.value)
        return caught.value.code

    def test_nobody_listens(self, kind_of, call):
        """Connection refused."""
        assert self.fail(kind_of, call, free_port()) == "unreachable"

    def test_server_that_never_answers(self, kind_of, call):
        """It accepts and says nothing."""
        with misbehaving(silent) as port:
            assert self.fail(kind_of, call, port) == "too_slow"

    def test_server_that_closes(self, kind_of, call):
        """It reads the request and hangs up."""
        with misbehaving(saying(b"")) as port:
            assert self.fail(kind_of, call, port) == "unreachable"

    def test_some_other_server(self, kind_of, call):
        """A sign-in page with status 200 is no node's answer."""
        deletes = call is EVERY_CALL[3] and kind_of is ByBucket
        with misbehaving(saying(HTML)) as port:
            if deletes:
                pytest.skip("S3's answer to DELETE has nothing to know it by")
            self.fail(kind_of, call, port)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX: ", b'HTTP/1.1 200 OK\r\nContent-Length: 900000\r\nETag: "TAG"\r\n\r\n']
)
@pytest.mark.parametrize("kind_of", [ByServer, ByBucket], ids=lambda kind: kind.__name__)
def test_server_that_drips(kind_of, head):
    """A byte now and then, in the head or in the body, does not keep a reader for ever."""
    with misbehaving(dripping(head.replace(b"TAG", DIGEST.encode()))) as port:
        node = kind_of.at(None, f"http://127.0.0.1:{port}", timeout=0.5)
        began = time.monotonic()
        with fails("too_slow"):
            b"".join(node.read(DIGEST))
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("url", ["", "ftp://host", "http://", "host:80"])
@pytest.mark.parametrize("kind_of", [ByServer, ByBucket], ids=lambda kind: kind.__name__)
def test_wrong_urls(kind_of, url):
    """A URL that is none is refused where it is written."""
    with pytest.raises(ValueError, match="http"):
        kind_of.at(None, url)
