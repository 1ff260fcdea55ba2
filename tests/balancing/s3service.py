"""moto's S3 with what moto leaves out: requests need credentials, and presigned URLs are checked as Amazon does.

Run as a process of its own: `python -m tests.balancing.s3service PORT`. The keys are the two below.
"""

import hmac
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qs, quote

KEY, SECRET = "AKIATESTTESTTESTTEST", "only-for-tests-" + "s" * 25


def allowed(environ) -> bool:
    """Whether a request carries a header from our key, or a presigned query whose signature and time are right."""
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"], keep_blank_values=True).items()}
    mark = query.pop("X-Amz-Signature", "")
    if not mark:
        return f"Credential={KEY}/" in environ.get("HTTP_AUTHORIZATION", "")
    at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if not at <= datetime.now(UTC) < at + timedelta(seconds=min(int(query["X-Amz-Expires"]), 604_800)):
        return False
    return hmac.compare_digest(mark, signature(environ, query))


def signature(environ, query) -> str:
    scope = query["X-Amz-Credential"].partition("/")[2]
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    path = environ["RAW_URI"].partition("?")[0]
    lines = [environ["REQUEST_METHOD"], path, text, f"host:{environ['HTTP_HOST']}", "", "host", "UNSIGNED-PAYLOAD"]
    digest = sha256("\n".join(lines).encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), sha256)
    signed = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, digest])
    return hmac.new(key, signed.encode(), sha256).hexdigest()


def gate(inner):
    def application(environ, start):
        # The test's own questions of moto, such as its reset, are no S3.
        if environ["PATH_INFO"].startswith("/moto-api") or allowed(environ):
            return inner(environ, start)
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return application


def main(port: int) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", port, gate(DomainDispatcherApplication(create_backend_app)), threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
