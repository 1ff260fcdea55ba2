"""What is peculiar to buckets; what all nodes have in common is in test_backends."""

import io
import random
import select
import socket
import sys
import threading
from base64 import b64decode
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from balancing.backends import NodeError
from balancing.buckets import PART, Bucket
from balancing.presigning import Credentials, address, presigned
from balancing.s3 import Place
from balancing.signing import expiry
from tests.balancing import s3service
from tests.balancing.node.servers import S3, fails, misbehaving, saying

DATA = b"a wheel with a MARKER inside" * 1000
DIGEST = sha256(DATA).hexdigest()
LARGE = random.Random(9).randbytes(PART) + b"MARKER" + bytes(1000)


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3service.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3service.SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", s3service.KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", s3service.SECRET)
        made = S3(tmp_path_factory.mktemp("s3"))
    yield made
    made.kill()


def put(bucket, data):
    digest = sha256(data).hexdigest()
    bucket.put(digest, len(data), io.BytesIO(data))
    return digest


def relay(port, up=lambda data: data, down=lambda data: data):
    """Stand between: every piece of what goes up and down may be changed."""

    def behave(connection, done):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as inner:
            while not done.is_set():
                ready, _, _ = select.select([connection, inner], [], [], 0.1)
                for sock, other, change in ((connection, inner, up), (inner, connection, down)):
                    if sock in ready:
                        data = sock.recv(1 << 20)
                        if not data:
                            return
                        other.sendall(change(data))

    return behave


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
def test_bytes_that_change_on_their_way(s3, data):
    """A service that believes what it receives is not believed: what it has is compared, and removed."""
    flip = relay(s3.port, up=lambda data: data.replace(b"MARKER", b"MARKET"))
    digest = sha256(data).hexdigest()
    with misbehaving(flip) as port:
        bucket = Bucket(Place("mirror", f"http://127.0.0.1:{port}", "eu-central-1", "flip/"))
        with pytest.raises(NodeError) as caught:
            bucket.put(digest, len(data), io.BytesIO(data))
    assert (caught.value.code, caught.value.retryable) == ("incomplete", True)
    assert Bucket(Place("mirror", s3.url, "eu-central-1", "flip/")).has(digest) is None


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
def test_tags_that_are_no_digests(s3, data):
    """Encrypted buckets have other tags: the file is then read again, and is there."""
    other = relay(s3.port, down=lambda data: data.replace(b'ETag: "', b'ETag: "f'))
    with misbehaving(other) as port:
        bucket = Bucket(Place("mirror", f"http://127.0.0.1:{port}", "eu-central-1", "tag/"))
        if data is DATA:
            digest = put(bucket, data)
        else:  # a changed tag of a part cannot be completed
            with pytest.raises(NodeError):
                put(bucket, data)
            return
    assert Bucket(Place("mirror", s3.url, "eu-central-1", "tag/")).has(digest) == len(data)


def test_checksum_is_stored(s3):
    """The service is told the SHA-256 and keeps it, for whoever looks at the bucket."""
    put(s3.bucket, DATA)
    found = s3.client.head_object(
        Bucket="mirror", Key=f"pkg/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST[4:]}", ChecksumMode="ENABLED"
    )
    assert b64decode(found["ChecksumSHA256"]).hex() == DIGEST
    assert found["ContentType"] == "application/octet-stream"


def test_files_of_others(s3):
    """Keys that are not ours are no copies, whatever they look like; another prefix is another node."""
    bucket = Bucket(Place("mirror", s3.url, "eu-central-1", "mixed/"))
    other = Bucket(Place("mirror", s3.url, "eu-central-1", "mixed2/"))
    digest = put(bucket, DATA)
    put(other, b"theirs")
    for key in (
        "readme",
        digest,
        f"{digest[:4]}/{digest[4:]}",
        f"{digest[:2]}/{digest[2:4]}/{digest[4:]}.old",
        "zz/zz/z",
    ):
        s3.client.put_object(Bucket="mirror", Key=f"mixed/{key}", Body=b"?")
    found, after = [], ""
    while after is not None:
        page = bucket.inventory(after, 1)
        found, after = [*found, *page.files], page.after
    assert found == [(digest, len(DATA))]


@pytest.mark.parametrize("call", ["has", "put", "condition", "inventory", "delete"])
def test_bucket_that_is_gone(s3, call):
    """A bucket that does not exist is not a bucket without files."""
    bucket = Bucket(Place("no-such-bucket", s3.url, "eu-central-1"))
    calls = {
        "has": lambda: bucket.has(DIGEST),
        "put": lambda: put(bucket, DATA),
        "condition": bucket.condition,
        "inventory": bucket.inventory,
        "delete": lambda: bucket.delete(DIGEST),
    }
    with pytest.raises(NodeError, match="no such bucket") as caught:
        calls[call]()
    assert caught.value.code == "refused"


@pytest.mark.parametrize("call", ["has", "put", "condition", "inventory", "delete", "read", "scrub"])
def test_wrong_credentials(s3, monkeypatch, call):
    """Refused, worth another try when they have been put right, and not a word of the keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHEROTHEROTHERO")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    bucket = Bucket(Place("mirror", s3.url, "eu-central-1"))
    calls = {"put": lambda: put(bucket, DATA), "condition": bucket.condition, "inventory": bucket.inventory}
    with pytest.raises(NodeError) as caught:
        calls.get(call, lambda: getattr(bucket, call)(DIGEST))()
    assert (caught.value.code, caught.value.retryable) == ("refused", True)
    assert "OTHER" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_credentials(s3, monkeypatch):
    """It is told where they should be, by calls and by URLs."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    bucket = Bucket(Place("mirror", s3.url, "eu-central-1"))
    for call in (bucket.condition, lambda: bucket.url(DIGEST, 1e9, 60)):
        with pytest.raises(NodeError, match="no credentials") as caught:
            call()
        assert caught.value.code == "refused"


def test_without_boto3(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(NodeError, match=r"pip install pkgindex\[s3\]"):
        Bucket(Place("mirror", "http://127.0.0.1:1")).condition()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (503, "SlowDown", "too_slow"),
        (500, "InternalError", "bad_answer"),
        (400, "BadDigest", "incomplete"),
        (403, "AccessDenied", "refused"),
        (403, "QuotaExceeded", "disk_full"),
        (507, "XMinioStorageFull", "disk_full"),
        (404, "NoSuchBucket", "refused"),
        (301, "PermanentRedirect", "bad_answer"),
    ],
)
def test_what_the_service_says(status, code, expected):
    """Each refusal has its code, and the service's own words, which can name keys, are left out."""
    body = f"<Error><Code>{code}</Code><Message>AKIA and more</Message></Error>".encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with misbehaving(saying(head + body)) as port:
        with fails(expected) as caught:
            put(Bucket(Place("mirror", f"http://127.0.0.1:{port}", "eu-central-1"), timeout=2), DATA)
        assert "AKIA" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "a+token/with=signs"])
@pytest.mark.parametrize(
    ("endpoint", "bucket"),
    [
        ("http://127.0.0.1:9000", "mirror"),
        ("https://s3.eu-central-1.amazonaws.com", "mirror"),
        ("https://s3.eu-central-1.amazonaws.com", "with.dots"),
        ("https://minio.example.org", "mirror"),
    ],
)
def test_url_is_the_one_that_boto3_would_sign(endpoint, bucket, token, monkeypatch, time_machine_at):
    """At the moment that we derive from the expiry, boto3 makes the very same URL."""
    import boto3
    from botocore.config import Config

    now, life, key = 1_800_001_234.5, 5000, "some prefix/aa/bb/cc"
    style = "virtual" if ".amazonaws.com" in endpoint and "." not in bucket else "path"
    client = boto3.client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=endpoint,
        aws_access_key_id="AKIA1",
        aws_secret_access_key="secret",
        aws_session_token=token or None,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )
    expires = expiry(now, life)
    with time_machine_at(datetime.fromtimestamp(expires - 10_800, UTC)):
        expected = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=10_800)
    ours = presigned(endpoint, bucket, key, Credentials("AKIA1", "secret", token, "eu-central-1"), expires, life)
    assert parsed(ours) == parsed(expected)


def parsed(url):
    """A URL whose parameters may come in any order: the signature covers them sorted."""
    base, _, query = url.partition("?")
    return base, sorted(query.split("&"))


@pytest.fixture
def time_machine_at():
    import time_machine

    return lambda moment: time_machine.travel(moment, tick=False)


@pytest.mark.parametrize("life", [1, 3599, 3600, 3601, 86_400, 518_400])
def test_times_of_a_url(life):
    """It was signed in the past, and ends when it should: never before `life`, at most an hour and a bit later."""
    for now in (1_800_000_000, 1_800_000_000.9, 1_800_003_599.9):
        url = presigned("http://h", "b", "k", Credentials("a", "b", "", "r"), expiry(now, life), life)
        query = dict(item.split("=") for item in url.partition("?")[2].split("&"))
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        assert signed <= now
        assert int(now) + life <= signed + int(query["X-Amz-Expires"]) <= now + life + 3600


def test_url_of_a_week():
    """S3 would refuse it, so it is not made."""
    with pytest.raises(ValueError, match="seven days"):
        presigned("http://h", "b", "k", Credentials("a", "b", "", "r"), 1_800_000_000, 604_800)


@pytest.mark.parametrize(
    ("endpoint", "bucket", "expected"),
    [
        ("http://127.0.0.1:9000/", "b", "http://127.0.0.1:9000/b"),
        ("https://s3.eu-central-1.amazonaws.com", "b", "https://b.s3.eu-central-1.amazonaws.com"),
        ("https://s3.eu-central-1.amazonaws.com", "a.b", "https://s3.eu-central-1.amazonaws.com/a.b"),
        ("https://amazonaws.com.example.org", "b", "https://amazonaws.com.example.org/b"),
    ],
)
def test_addresses(endpoint, bucket, expected):
    """A path everywhere, and a host of its own at Amazon."""
    assert address(endpoint, bucket) == expected


def test_secrets_are_not_shown():
    """What is printed in a traceback or a log names no secret."""
    assert "secret" not in repr(Credentials("AKIA1", "secret", "secret-token", "r"))


def test_first_use_by_many_threads(s3):
    """The client is made once, whoever comes first."""
    bucket = Bucket(Place("mirror", s3.url, "eu-central-1"))
    threads = [threading.Thread(target=bucket.condition) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert bucket.condition().free is None
