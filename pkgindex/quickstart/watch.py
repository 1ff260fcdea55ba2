"""The part of `up` that looks at the running service: says when it is ready, and later whenever that changes."""

import json
import ssl
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, build_opener

from pkgindex.quickstart.credentials import CREDENTIALS_FILE, read
from pkgindex.quickstart.private import CERTIFICATE
from pkgindex.quickstart.welcome import welcome

READY_SECONDS = 60.0
LOOK_SECONDS = 5.0
PAUSE = 0.25
ANSWER_BYTES = 64 << 10


def main(url: str, query: str, directory: str, *flags: str) -> int:
    """Wait for /readyz, print the welcome, then watch until ended. Returns 1 where it does not get ready in time."""
    ready_url = f"{url}/readyz{query}"
    look = partial(_look, opener(Path(directory)))
    fault = wait(look, ready_url)
    if fault:
        print(f"Not ready after {READY_SECONDS:.0f} s: {fault}", flush=True)  # noqa: T201
        return 1
    kept = Path(directory) / CREDENTIALS_FILE
    fresh = read(kept) if "--fresh" in flags else None
    certificate = str(Path(directory) / CERTIFICATE) if url.startswith("https:") else ""
    print(welcome(url, fresh, str(kept), certificate), flush=True)  # noqa: T201
    before = ""
    while True:
        time.sleep(LOOK_SECONDS)
        now = look(ready_url)
        if now != before:
            print(f"Not ready: {now}" if now else "Ready again.", flush=True)  # noqa: T201
        before = now


def opener(directory: Path) -> OpenerDirector:
    """What asks: without a proxy, which has no business on this machine, and believing the certificate that is ours."""
    certificate = directory / CERTIFICATE
    context = ssl.create_default_context(cafile=str(certificate) if certificate.exists() else None)
    context.check_hostname = not certificate.exists()  # it is the one certificate that is believed, whatever its name
    return build_opener(ProxyHandler({}), HTTPSHandler(context=context))


def wait(look: Callable[[str], str], url: str) -> str:
    """Look until there is no fault or time is up; the last fault."""
    deadline = time.monotonic() + READY_SECONDS
    while (fault := look(url)) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return fault


def _look(asks: OpenerDirector, url: str) -> str:
    """What keeps the service from being ready, as one line; empty where it is."""
    try:
        with asks.open(url, timeout=LOOK_SECONDS):
            return ""
    except HTTPError as error:
        return describe(error.read(ANSWER_BYTES))
    except OSError as error:
        return f"web does not answer ({error})"


def describe(body: bytes) -> str:
    """The parts that are down and why, from /readyz's answer."""
    try:
        parts = json.loads(body)["parts"]
        return "; ".join(f"{name}: {part['sentence']}" for name, part in parts.items() if part["status"] != "up")
    except (ValueError, KeyError, TypeError):
        return "web gives an answer that is not /readyz's"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
