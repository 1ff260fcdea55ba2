"""The client of an S3-compatible service. Pure: no Django. boto3 is optional and imported when it is first needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from balancing.backends import NodeError
from balancing.node.reading import connect
from balancing.presigning import Credentials, has_own_host

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TRIES = 2
REGION = "us-east-1"  # what services without regions expect
CODES = {
    "404": "not_found",
    "NoSuchKey": "not_found",
    "416": "range_not_satisfiable",
    "BadDigest": "incomplete",  # other bytes arrived there than left here
    "XAmzContentSHA256Mismatch": "incomplete",
    "RequestTimeout": "too_slow",
    "SlowDown": "too_slow",
    "QuotaExceeded": "disk_full",
    "XMinioStorageFull": "disk_full",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket is. `endpoint` is the service's URL for us, `public` for clients where it is another."""

    bucket: str
    endpoint: str
    region: str = ""
    prefix: str = ""
    public: str = ""


class Service:
    """boto3's session and client for one bucket, made at the first use. Raises ValueError for what is no URL."""

    def __init__(self, place: Place, timeout: float) -> None:
        for url in filter(None, (place.endpoint, place.public)):
            connect(url, timeout)
        connect(place.endpoint, timeout)
        self._place, self._timeout, self._lock = place, timeout, Lock()
        self._session: Any = None
        self._client: S3Client | None = None

    @contextmanager
    def asking(self, what: str) -> Iterator["S3Client"]:
        """The client; its errors become NodeError, without the service's words, which can name keys."""
        client = self._made()
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - optional

        try:
            yield client
        except ClientError as error:
            raise _refusal(error, what) from None
        except BotoCoreError as error:
            raise _failure(error, what) from None

    def credentials(self) -> Credentials:
        """Whom requests are signed for, as boto3 finds it. Raises NodeError where it finds nobody."""
        with self.asking("credentials") as client:
            found = self._session.get_credentials()
            if found is None:
                raise NodeError("refused", "There are no credentials for the bucket in the environment.")
            frozen = found.get_frozen_credentials()
            return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "", client.meta.region_name)

    def _made(self) -> "S3Client":
        with self._lock:
            if self._client is None:
                try:
                    import boto3  # noqa: PLC0415 - optional, and a tenth of a second
                    from botocore.config import Config  # noqa: PLC0415 - optional
                except ImportError as error:
                    raise NodeError("refused", "Buckets need boto3: pip install pkgindex[s3]") from error
                self._session = boto3.session.Session(region_name=self._place.region or None)
                client: S3Client = self._session.client(
                    "s3",
                    self._session.region_name or REGION,
                    endpoint_url=self._place.endpoint,
                    config=Config(**self._options()),
                )
                client.meta.events.register("before-call.s3", _stay)
                self._client = client
            return self._client

    def _options(self) -> dict[str, Any]:
        own = has_own_host(self._place.endpoint, self._place.bucket)
        return {
            "connect_timeout": self._timeout,
            "read_timeout": self._timeout,
            "retries": {"total_max_attempts": TRIES, "mode": "standard"},
            "s3": {"addressing_style": "virtual" if own else "path"},
            # Other services than Amazon's refuse checksums that nobody asked for.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }


def _stay(params: dict[str, Any], **_: Any) -> None:
    """Make boto3 believe that it has been redirected: it would look for the bucket's region, and follow, for ever."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def _refusal(error: Any, what: str) -> NodeError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket" or (status == 404 and what == "head_bucket"):
        return NodeError("refused", "There is no such bucket.")
    if code in CODES:
        return NodeError(CODES[code], f"The bucket answered {code} to {what}.")
    return NodeError("refused" if status in {401, 403} else "bad_answer", f"The bucket answered {status} to {what}.")


def _failure(error: Exception, what: str) -> NodeError:
    kind = type(error).__name__
    if "Timeout" in kind:
        return NodeError("too_slow", f"The bucket said nothing for too long ({what}).")
    if "Credential" in kind or "Token" in kind or "Profile" in kind:
        return NodeError("refused", f"There are no credentials for the bucket in the environment ({kind}).")
    return NodeError("unreachable", f"The bucket cannot be reached for {what} ({kind}).")
