"""A bucket of an S3-compatible service as a node. Pure: no Django.

Credentials come from where boto3 finds them: the environment, its files, the instance. They are in no row and no
message. Keys are `<prefix>aa/bb/<rest of the digest>`; below the prefix the bucket is ours alone. Parts of an upload
whose sender was killed stay until the bucket's lifecycle rule AbortIncompleteMultipartUpload removes them.
"""

from base64 import b64encode
from contextlib import suppress
from hashlib import md5, sha256
from http.client import HTTPResponse
from time import time
from typing import Any, BinaryIO

from balancing.backends import Backend, Blocks, Condition, NodeError, Page
from balancing.node.reading import begin
from balancing.node.store import DIGEST
from balancing.presigning import presigned
from balancing.s3 import Place, Service
from balancing.signing import expiry

PART = 8 << 20
"""Bytes of a file that are held in memory at a time; a larger file is sent in parts."""
MOST_PARTS = 10_000  # S3's limit
LIFE = 300
MOST_PAGES = 100  # of keys that are not ours, before an inventory gives up


class Bucket(Backend):
    """A bucket. `timeout` bounds each wait in seconds; each request is tried twice. Threads may share it.

    Raises ValueError where the endpoint is no URL, and later NodeError where boto3 is not installed.
    """

    def __init__(self, place: Place, *, timeout: float = 10.0) -> None:
        self._place, self._timeout, self._service = place, timeout, Service(place, timeout)

    def put(self, digest: str, size: int, source: BinaryIO) -> None:
        """Send a file. The service is told the SHA-256 of what it must receive, and what it then has is compared."""
        key = self._key(digest)
        tag = self._put_small(key, digest, size, source) if size <= PART else self._put_parts(key, digest, size, source)
        if not self._is_what_was_sent(key, size, tag) and not self._reread(digest):
            self.delete(digest)
            raise NodeError("incomplete", "The bucket received other bytes than were sent.")

    def has(self, digest: str) -> int | None:
        """The size of the bucket's copy; None where it has none."""
        try:
            return self._head(self._key(digest))[1]
        except NodeError as error:
            if error.code != "not_found":
                raise
        with self._service.asking("head_bucket") as client:  # a bucket that is gone answers as an absent file does
            client.head_bucket(Bucket=self._place.bucket)
        return None

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Blocks:
        """The bytes from `start` to before `end`, by the URL that a client would use."""
        url = self._presigned(self._place.endpoint, digest, time(), LIFE)
        return begin(url, start, end, timeout=self._timeout, genuine=_stored)

    def delete(self, digest: str) -> None:
        """Remove a copy; an absent one is no error."""
        with self._service.asking("delete") as client:
            client.delete_object(Bucket=self._place.bucket, Key=self._key(digest))

    def inventory(self, after: str = "", limit: int = 1000) -> Page:
        """One page of what the bucket has below its prefix, in the order of digests, which is that of keys."""
        limit, found, last = max(1, min(limit, 1000)), list[tuple[str, int]](), self._key(after)
        for _ in range(MOST_PAGES):
            with self._service.asking("list") as client:
                answer = client.list_objects_v2(
                    Bucket=self._place.bucket, Prefix=self._place.prefix, StartAfter=last, MaxKeys=limit
                )
            for item in answer.get("Contents", []):
                last = item["Key"]
                digest = last.removeprefix(self._place.prefix).replace("/", "")
                if DIGEST.fullmatch(digest) and last == self._key(digest):
                    found.append((digest, item["Size"]))
                    if len(found) == limit:
                        return Page(tuple(found), digest)
            if not answer.get("IsTruncated"):
                return Page(tuple(found), None)
        raise NodeError("bad_answer", "The bucket is full of files that are not ours; give it a prefix.")

    def scrub(self, digest: str) -> bool:
        """Read a copy again; False where it was damaged, and it is removed unless another took its place meanwhile."""
        seen = self._head(self._key(digest))
        if self._reread(digest):
            return True
        with suppress(NodeError):
            if self._head(self._key(digest)) == seen:
                self.delete(digest)
        return False

    def condition(self) -> Condition:
        """Look at the bucket, its list, and one byte of what it has: what a download needs. Room is unlimited."""
        with self._service.asking("head_bucket") as client:
            client.head_bucket(Bucket=self._place.bucket)
            listed = client.list_objects_v2(Bucket=self._place.bucket, Prefix=self._place.prefix, MaxKeys=1)
            for item in listed.get("Contents", []):
                if item["Size"]:
                    client.get_object(Bucket=self._place.bucket, Key=item["Key"], Range="bytes=0-0")["Body"].read()
        return Condition()

    def url(self, digest: str, now: float, life: int) -> str:
        """A presigned URL for GET at the public endpoint. It changes within the hour only with temporary credentials.

        Raises ValueError where `life` is more than six days: S3 signs for seven.
        """
        return self._presigned(self._place.public or self._place.endpoint, digest, now, life)

    def _presigned(self, endpoint: str, digest: str, now: float, life: int) -> str:
        credentials = self._service.credentials()
        return presigned(endpoint, self._place.bucket, self._key(digest), credentials, expiry(now, life), life)

    def _put_small(self, key: str, digest: str, size: int, source: BinaryIO) -> str:
        data = _exactly(source, size, size)
        _compare(sha256(data).hexdigest(), digest)
        with self._service.asking("put") as client:
            client.put_object(
                Bucket=self._place.bucket,
                Key=key,
                Body=data,
                ContentType="application/octet-stream",
                CacheControl="private, max-age=31536000, immutable",
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=b64encode(bytes.fromhex(digest)).decode(),
            )
        return _md5(data).hex()

    def _put_parts(self, key: str, digest: str, size: int, source: BinaryIO) -> str:
        """Send in parts and complete only what has the digest; on any failure no part stays."""
        with self._service.asking("begin") as client:
            upload = client.create_multipart_upload(
                Bucket=self._place.bucket,
                Key=key,
                ContentType="application/octet-stream",
                CacheControl="private, max-age=31536000, immutable",
                ChecksumAlgorithm="SHA256",
            )["UploadId"]
        try:
            return self._send_parts(key, upload, digest, size, source)
        except BaseException:  # also where the sender is stopped: parts are stored, and paid for, until aborted
            with suppress(NodeError), self._service.asking("abort") as client:
                client.abort_multipart_upload(Bucket=self._place.bucket, Key=key, UploadId=upload)
            raise

    def _send_parts(self, key: str, upload: str, digest: str, size: int, source: BinaryIO) -> str:
        length, left, hashed = max(PART, -(-size // MOST_PARTS)), size, sha256()
        parts: list[Any] = []
        tags: list[bytes] = []
        where: dict[str, Any] = {"Bucket": self._place.bucket, "Key": key, "UploadId": upload}
        while left:
            data = _exactly(source, min(length, left), left)
            hashed.update(data)
            check = b64encode(sha256(data).digest()).decode()
            with self._service.asking("put") as client:
                sent = client.upload_part(
                    **where, PartNumber=len(parts) + 1, Body=data, ChecksumAlgorithm="SHA256", ChecksumSHA256=check
                )
            parts.append({"PartNumber": len(parts) + 1, "ETag": sent["ETag"], "ChecksumSHA256": check})
            tags.append(_md5(data))
            left -= len(data)
        _compare(hashed.hexdigest(), digest)
        with self._service.asking("complete") as client:
            client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        return f"{_md5(b''.join(tags)).hex()}-{len(tags)}"

    def _is_what_was_sent(self, key: str, size: int, tag: str) -> bool:
        """Whether the service computed from what it stored the tag that we computed; encrypted buckets have others."""
        found, stored, _ = self._head(key)
        return (found, stored) == (tag, size)

    def _reread(self, digest: str) -> bool:
        hashed = sha256()
        if not self._head(self._key(digest))[1]:
            return hashed.hexdigest() == digest
        for block in self.read(digest):
            hashed.update(block)
        return hashed.hexdigest() == digest

    def _head(self, key: str) -> tuple[str, int, str]:
        """Tag, bytes and time of an object. Raises NodeError `not_found`."""
        with self._service.asking("head") as client:
            found = client.head_object(Bucket=self._place.bucket, Key=key)
        if not {"ETag", "ContentLength", "LastModified"} <= set(found):
            raise NodeError("bad_answer", "What answers is no bucket.")
        return found["ETag"].strip('"'), found["ContentLength"], found["LastModified"].isoformat()

    def _key(self, digest: str) -> str:
        return f"{self._place.prefix}{digest[:2]}/{digest[2:4]}/{digest[4:]}"


def _exactly(source: BinaryIO, size: int, left: int) -> bytes:
    """The next `size` bytes of a source that has `left`. Raises NodeError where it ends before."""
    blocks, missing = [], size
    while missing and (block := source.read(missing)):
        blocks.append(block)
        missing -= len(block)
    if missing:
        raise NodeError("incomplete", f"The source ended {left - size + missing} bytes before the size that was given.")
    return b"".join(blocks)


def _compare(found: str, digest: str) -> None:
    if found != digest:
        raise NodeError("digest_mismatch", f"The bytes that were to be sent have the SHA-256 {found}.")


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()


def _stored(answer: HTTPResponse) -> bool:
    """Whether an answer looks like an object and not like a page of whoever stands between."""
    return "ETag" in answer.headers and not answer.headers.get("Content-Type", "").startswith("text/html")
