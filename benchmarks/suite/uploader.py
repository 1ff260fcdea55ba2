"""One client of the upload rows: `python -m benchmarks.suite.uploader STEM COUNT SIZE URL USER PASSWORD`.

Makes its wheels and requests, says `ready`, waits for a line, uploads one after the other over one connection, and says
how many seconds that took. Ends with 1 and a sentence where an upload is refused.
"""

import http.client
import sys
import time
from urllib.parse import urlsplit

import httpx

from benchmarks.suite.corpus import large
from benchmarks.suite.wrk import authorization
from tests.support.distributions import form, wheel

PROJECTS = 10  # among which a client's wheels are spread


def main() -> None:
    """As above."""
    stem, count, size, url, user, password = sys.argv[1:]
    requests = [upload_request(f"{stem}-{i % PROJECTS}", f"1.{i}", int(size), url) for i in range(int(count))]
    headers = authorization((user, password)) if user else {}
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=120)
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    for body, kind in requests:
        connection.request("POST", where.path, body, {"Content-Type": kind, **headers})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status not in (200, 201):
            sys.exit(f"upload answered {answer.status}: {said[:200]!r}")
    print(time.monotonic() - begun)


def upload_request(name: str, version: str, size: int, url: str) -> tuple[bytes, str]:
    """Body and Content-Type of an upload; `size` bytes, or 0 for as small as a wheel can be."""
    filename, content = large(name, version, size) if size else wheel(name, version)
    data = {key: str(value) for key, value in form(filename, content, name, version).items()}
    made = httpx.Request("POST", url, data=data, files={"content": (filename, content)})
    return made.read(), made.headers["Content-Type"]


if __name__ == "__main__":
    main()
