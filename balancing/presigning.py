"""Presigned URLs of S3 that stay the same for an hour. Pure: keys and time are arguments.

boto3 signs with the time of the call, so that every call gives another URL and no client's cache ever hits. Here the
time of signing is derived from the expiry, which `balancing.signing.expiry` rounds up to the hour. The signature is
AWS Signature Version 4 in the query, as the S3 reference ("Authenticating Requests: Using Query Parameters") has it.
"""

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, urlsplit

from balancing.signing import HOUR

LONGEST = 7 * 24 * HOUR  # S3's limit


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose signature it is; `token` goes with temporary keys."""

    key: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    region: str


def address(endpoint: str, bucket: str) -> str:
    """The URL of a bucket: a path below the endpoint, and a host of its own at Amazon, where new regions insist."""
    parts = urlsplit(endpoint)
    if has_own_host(endpoint, bucket):
        return f"{parts.scheme}://{bucket}.{parts.netloc}"
    return f"{endpoint.rstrip('/')}/{bucket}"


def has_own_host(endpoint: str, bucket: str) -> bool:
    """Whether the bucket's name stands in front of the endpoint's host; with a dot in it no certificate would fit."""
    return (urlsplit(endpoint).hostname or "").endswith(".amazonaws.com") and "." not in bucket


def presigned(endpoint: str, bucket: str, key: str, credentials: Credentials, expires: int, life: int) -> str:
    """A URL for GET, good until `expires` (epoch seconds) and equal for all who ask for that expiry and `life`.

    Raises ValueError where the service would not accept so long a life.
    """
    # The expiry lies less than an hour behind now + life, so this start is never in the future.
    length = -(-life // HOUR) * HOUR + HOUR
    if length > LONGEST:
        raise ValueError(f"S3 signs for seven days at most; {life} seconds are too many.")
    at = datetime.fromtimestamp(expires - length, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{at[:8]}/{credentials.region}/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.key}/{scope}",
        "X-Amz-Date": at,
        "X-Amz-Expires": str(length),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token:
        query["X-Amz-Security-Token"] = credentials.token
    text = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    parts = urlsplit(f"{address(endpoint, bucket)}/{quote(key, safe='/-_.~')}")
    request = f"GET\n{parts.path}\n{text}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    signed = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    mark = hmac.new(_signing_key(credentials, at[:8]), signed.encode(), sha256).hexdigest()
    return f"{parts.geturl()}?{text}&X-Amz-Signature={mark}"


def _signing_key(credentials: Credentials, day: str) -> bytes:
    key = f"AWS4{credentials.secret}".encode()
    for part in (day, credentials.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), sha256)
    return key
