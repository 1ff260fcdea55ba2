"""wrk, the load generator: one thread, kept connections."""

import re
import shutil
from base64 import b64encode
from dataclasses import dataclass

from benchmarks.suite.contestant import Auth
from benchmarks.suite.servers import run

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw."""

    requests: float  # a second
    megabytes: float  # a second, 10**6


@dataclass(frozen=True)
class Latency:
    """How long answers took, milliseconds from the request to their last byte."""

    requests: int
    p50: float
    p99: float


def authorization(auth: Auth) -> dict[str, str]:
    """The header of Basic authentication (RFC 7617)."""
    return {"Authorization": "Basic " + b64encode(":".join(auth).encode()).decode()} if auth else {}


def load(url: str, headers: dict[str, str], *, seconds: float, connections: int) -> Load:
    """Ask for one URL again and again. Raises RuntimeError where an answer was an error or nothing came."""
    said = _run(url, headers, seconds, connections)
    requests = re.search(r"Requests/sec:\s+([\d.]+)", said)
    moved = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", said)
    if not requests or not moved or float(moved[1]) == 0:
        raise RuntimeError("nothing was answered in time")
    return Load(float(requests[1]), float(moved[1]) * UNITS[moved[2]] / 1e6)


def latency(url: str, headers: dict[str, str], *, seconds: float) -> Latency:
    """Ask for one URL over one connection: with more, answers wait for each other. Raises as `load`."""
    said = _run(url, headers, seconds, 1, "--latency")
    requests = re.search(r"(\d+) requests in", said)
    if not requests or requests[1] == "0":
        raise RuntimeError("nothing was answered in time")
    return Latency(int(requests[1]), percentile(said, 50), percentile(said, 99))


def percentile(said: str, which: int) -> float:
    """Milliseconds, out of what wrk printed. Raises RuntimeError where it is not there."""
    found = re.search(rf"^\s+{which}%\s+([\d.]+)(us|ms|s|m)$", said, re.MULTILINE)
    if not found:
        raise RuntimeError(f"wrk did not say its {which}th percentile")
    return float(found[1]) * MILLISECONDS[found[2]]


def _run(url: str, headers: dict[str, str], seconds: float, connections: int, *more: str) -> str:
    if not shutil.which("wrk"):
        raise RuntimeError("wrk is not on PATH")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "20s", *more]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    said = run([*command, url], seconds=seconds + 60)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if wrong:
        raise RuntimeError(f"{wrong[1]} answers were errors")
    return said
