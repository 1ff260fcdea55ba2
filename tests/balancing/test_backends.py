"""One class of tests for every kind of node: our server, our server behind nginx, and a bucket; each a real process."""

import http.client
import io
import os
import random
import shutil
import threading
import time
from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from balancing.backends import NodeError
from balancing.buckets import PART
from balancing.node.patience import SILENCE
from tests.balancing import s3service
from tests.balancing.kinds import ByBucket, ByNginx, ByServer
from tests.balancing.node.servers import fails

DATA = random.Random(2).randbytes(200_000)
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture(scope="module", params=[ByServer, ByNginx, ByBucket], ids=lambda kind: kind.__name__)
def kind(request, tmp_path_factory):
    if request.param is ByNginx and not shutil.which("nginx"):
        assert not os.environ.get("CI"), "nginx is missing"
        pytest.skip("there is no nginx on this machine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", s3service.KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", s3service.SECRET)
        made = request.param(tmp_path_factory.mktemp("kind"))
        yield made
        made.close()


@pytest.fixture
def node(kind):
    """An empty node."""
    backend = kind.at(kind.url)
    for digest, _ in backend.inventory().files:
        backend.delete(digest)
    return backend


def put(node, data):
    digest = sha256(data).hexdigest()
    node.put(digest, len(data), io.BytesIO(data))
    return digest


def left_in_the_end(kind):
    """What is unfinished when the node has had its time: an nginx in between does not always tell it of an end."""
    end = time.monotonic() + SILENCE + 10
    while (left := list(kind.leftovers())) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def fetch(url, headers=None, method="GET"):
    """As any HTTP client does it, without credentials."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request(method, f"{parts.path}?{parts.query}", headers=headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


class TestEveryBackend:
    """What is true of every kind of node."""

    @pytest.mark.parametrize("data", [b"", b"x", DATA], ids=len)
    def test_life_of_a_copy(self, node, data):
        """Put, also twice; seen, read, deleted, also twice."""
        digest = put(node, data)
        put(node, data)
        assert node.has(digest) == len(data)
        assert b"".join(node.read(digest)) == data
        node.delete(digest)
        node.delete(digest)
        assert node.has(digest) is None
        with fails("not_found"):
            node.read(digest)

    def test_large_file_arrives_whole(self, node, kind):
        """A file larger than what is held in memory at a time."""
        data = random.Random(3).randbytes(PART * 2 + 12_345)
        digest = put(node, data)
        assert b"".join(node.read(digest)) == data
        assert node.scrub(digest) is True
        assert list(kind.leftovers()) == []

    @pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 200_000), (7, 100), (199_999, 200_000), (5, 5), (0, 0)])
    def test_parts(self, node, start, end):
        """Any part is what it should be."""
        put(node, DATA)
        assert b"".join(node.read(DIGEST, start, end)) == DATA[start:end]

    def test_rest_of_a_file(self, node):
        """Without an end it is read to its end."""
        put(node, DATA)
        assert b"".join(node.read(DIGEST, 150_000)) == DATA[150_000:]

    @pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 3)])
    def test_parts_that_are_none(self, node, start, end):
        """The caller's mistake is no node's failure."""
        with pytest.raises(ValueError, match="no part"):
            node.read(DIGEST, start, end)

    def test_part_behind_the_end(self, node):
        """A copy that is shorter than the caller knows is noticed before a byte is believed."""
        put(node, DATA)
        with fails("range_not_satisfiable"):
            node.read(DIGEST, 200_000, 200_001)
        with fails("incomplete"):
            node.read(DIGEST, 199_000, 200_001)

    def test_reading_can_be_left(self, node):
        """Closed before, in the middle and after; closing again is no error."""
        put(node, DATA)
        for blocks in (0, 1, 1000):
            reading = node.read(DIGEST)
            for _ in range(blocks):
                next(reading, b"")
            reading.close()
            reading.close()

    @pytest.mark.parametrize(
        "data", [b"x" * 200_000, DATA[:-1], DATA + b"x", b""], ids=["other", "less", "more", "none"]
    )
    def test_wrong_bytes_are_refused(self, node, kind, data):
        """What has another digest is no copy, and nothing of it stays."""
        with fails("digest_mismatch"):
            node.put(DIGEST, len(data), io.BytesIO(data))
        assert node.has(DIGEST) is None
        assert list(kind.leftovers()) == []

    @pytest.mark.parametrize("size", [len(DATA), PART + 1])
    def test_source_that_is_too_short(self, node, kind, size):
        """A source that ends early is told, may be tried again, and leaves nothing."""
        with pytest.raises(NodeError) as caught:
            node.put(DIGEST, size, io.BytesIO(DATA[:1000]))
        assert (caught.value.code, caught.value.retryable) == ("incomplete", True)
        assert left_in_the_end(kind) == []
        assert node.has(DIGEST) is None

    def test_source_that_breaks(self, node, kind):
        """An error of the source is the caller's own, and leaves nothing."""

        class Broken(io.RawIOBase):
            def read(self, size=-1, /):
                raise BrokenPipeError("the storage is away")

        with pytest.raises(BrokenPipeError, match="the storage is away"):
            node.put(DIGEST, PART + 1, Broken())
        assert left_in_the_end(kind) == []

    @pytest.mark.parametrize(
        "damaged",
        [b"?" + DATA[1:], DATA[:-1] + bytes([DATA[-1] ^ 1]), DATA[:1000], b"", DATA + b"x", b"<html>"],
        ids=["first", "bit", "short", "empty", "long", "wrong"],
    )
    def test_scrub_finds_damage(self, node, kind, damaged):
        """Whatever became of a copy, it is found and removed; the good one beside it stays."""
        other = put(node, b"other")
        kind.plant(DIGEST, damaged)
        assert node.scrub(DIGEST) is False
        assert node.has(DIGEST) is None
        assert node.scrub(other) is True
        assert node.has(other) == 5
        with fails("not_found"):
            node.scrub(DIGEST)

    @pytest.mark.parametrize("limit", [1, 2, 7, 1000])
    def test_inventory_in_pages(self, node, limit):
        """Every file once, with its size, in order, whatever the pages."""
        expected = sorted((put(node, f"{number}".encode()), len(str(number))) for number in range(8, 13))
        found, after, pages = [], "", 0
        while after is not None:
            page = node.inventory(after, limit)
            assert len(page.files) <= limit
            found += page.files
            after, pages = page.after, pages + 1
            assert pages < 10
        assert found == expected
        assert node.inventory(expected[2][0]).files == tuple(expected[3:])

    def test_condition(self, node, kind):
        """A node that works says how it is."""
        found = node.condition()
        assert (found.free is None) == isinstance(kind, ByBucket)
        assert found.in_flight == 0
        put(node, DATA)
        node.condition()

    def test_url_is_enough(self, node):
        """Any client gets the file, whole and in parts, with nothing but the URL."""
        put(node, DATA)
        url = node.url(DIGEST, time.time(), 600)
        answer, data = fetch(url)
        assert (answer.status, data == DATA) == (200, True)
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        answer, data = fetch(url, {"Range": "bytes=100-199"})
        assert (answer.status, data) == (206, DATA[100:200])
        assert answer.headers["Content-Range"] == "bytes 100-199/200000"
        assert fetch(url, {"Range": "bytes=-5"})[1] == DATA[-5:]
        assert fetch(url, {"Range": "bytes=200000-"})[0].status == 416

    def test_head_by_url(self, node, kind):
        """HEAD works at a node server; S3 signs the method and refuses it."""
        put(node, DATA)
        answer, data = fetch(node.url(DIGEST, time.time(), 600), method="HEAD")
        assert data == b""
        if isinstance(kind, ByBucket):
            assert answer.status == 403
        else:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "200000")

    def test_url_ends_and_cannot_be_made(self, node):
        """Expired, changed, for another file, without a signature: refused."""
        put(node, DATA)
        now = time.time()
        url = node.url(DIGEST, now, 600)
        other = put(node, b"other")
        assert fetch(node.url(DIGEST, now - 100_000, 600))[0].status == 403
        changed = url.replace(DIGEST[4:], other[4:]).replace(
            f"/{DIGEST[:2]}/{DIGEST[2:4]}/", f"/{other[:2]}/{other[2:4]}/"
        )
        changed = changed.replace(DIGEST, other)
        assert changed != url
        assert fetch(changed)[0].status == 403
        assert fetch(url[:-1] + ("A" if url[-1] != "A" else "B"))[0].status == 403
        assert fetch(url.partition("?")[0])[0].status in {401, 403}

    @pytest.mark.parametrize("life", [1, 300, 3600, 5000, 86_400])
    def test_url_is_stable_for_the_hour(self, node, life):
        """One URL for everybody for an hour, never good for less than was asked, valid from when it is given."""
        hour = 1_800_000_000 // 3600 * 3600
        moments = [hour - life % 3600 + 1, hour - life % 3600 + 1800, hour - life % 3600 + 3599]
        assert len({node.url(DIGEST, moment, life) for moment in moments}) == 1
        assert node.url(DIGEST, moments[0], life) != node.url(DIGEST, moments[0] + 3600, life)

    def test_public_address(self, kind):
        """Clients are sent to the public address, we go to the other."""
        public = kind.at(kind.url, public_url="https://files.example.org")
        assert public.url(DIGEST, time.time(), 600).startswith("https://files.example.org/")
        assert public.has(sha256(b"nobody's").hexdigest()) is None

    def test_many_threads(self, node):
        """Threads share a backend."""
        digests = [put(node, f"{number}".encode()) for number in range(8)]
        found: dict[str, bytes] = {}
        threads = [
            threading.Thread(target=lambda digest: found.update({digest: b"".join(node.read(digest))}), args=[digest])
            for digest in digests
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert {digest: sha256(data).hexdigest() for digest, data in found.items()} == {item: item for item in digests}
