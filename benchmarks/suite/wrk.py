"""wrk, the load generator: one thread, kept connections."""

import re
import shutil
from base64 import b64encode
from dataclasses import dataclass

from benchmarks.suite.contestant import Auth
from benchmarks.suite.servers import run

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw."""

    requests: float  # a second
    megabytes: float  # a second, 10**6


def authorization(auth: Auth) -> dict[str, str]:
    """The header of Basic authentication (RFC 7617)."""
    return {"Authorization": "Basic " + b64encode(":".join(auth).encode()).decode()} if auth else {}


def load(url: str, headers: dict[str, str], *, seconds: float, connections: int) -> Load:
    """Ask for one URL again and again. Raises RuntimeError where an answer was an error or nothing came."""
    if not shutil.which("wrk"):
        raise RuntimeError("wrk is not on PATH")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "20s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    said = run([*command, url], seconds=seconds + 60)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if wrong:
        raise RuntimeError(f"{wrong[1]} answers were errors")
    requests = re.search(r"Requests/sec:\s+([\d.]+)", said)
    moved = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", said)
    if not requests or not moved or float(moved[1]) == 0:
        raise RuntimeError("nothing was answered in time")
    return Load(float(requests[1]), float(moved[1]) * UNITS[moved[2]] / 1e6)
