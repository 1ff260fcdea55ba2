# ruff: noqa: D102 - the base class says what each method does
"""Uploads by two clients at once, each a process with one kept connection."""

import subprocess
import sys
from dataclasses import dataclass

from benchmarks.suite import environments
from benchmarks.suite.contestant import Contestant, NotOffered
from benchmarks.suite.measurements.base import Figure, Measurement
from benchmarks.suite.servers import clean_environment

CLIENTS = 2
OFTEN = ("ours", "ours+nginx", "ours+postgresql")  # there is a promise about these
TURNS = 3  # of small ones, which take a moment
MOST_SECONDS = 180


@dataclass(eq=False)
class UploadRow(Measurement):
    """A number of wheels of a size, new ones in each round."""

    count: int
    size: int  # bytes; 0: as small as a wheel can be
    title: str
    unit: str

    part = "upload"

    def __post_init__(self) -> None:
        self.key = f"upload {self.title}"
        self._sent = 0
        if not self.size:
            self.turns, self.often = TURNS, OFTEN

    def ready(self, one: Contestant) -> None:
        if not one.upload_path:
            raise NotOffered("no uploads")
        self._send(one, 0, 10 if not self.size else 2)

    def once(self, one: Contestant, number: int) -> Figure:  # noqa: ARG002 - every round is alike
        self._sent += 1
        seconds = self._send(one, self._sent, self.count)
        return Figure(self.count * (self.size / 1e6 if self.size else 1) / seconds, self.count)

    def _send(self, one: Contestant, number: int, count: int) -> float:
        """Seconds from the moment when both began to the end of the last. Raises RuntimeError."""
        clients = [self._client(one, f"{number}-{each}", count // CLIENTS) for each in range(CLIENTS)]
        try:
            for client in clients:
                if client.stdout.readline() != "ready\n":
                    raise RuntimeError(client.communicate(timeout=10)[1][-400:])
            for client in clients:
                client.stdin.write("go\n")
                client.stdin.flush()
            took = []
            for client in clients:
                said, wrong = client.communicate(timeout=MOST_SECONDS)
                if client.returncode:
                    raise RuntimeError(wrong.strip()[-400:])
                took.append(float(said))
            return max(took)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"more than {MOST_SECONDS} s") from None
        finally:
            for client in clients:
                client.kill()
                client.wait(10)

    def _client(self, one: Contestant, stem: str, count: int) -> "subprocess.Popen[str]":
        user, password = one.auth or ("", "")
        words = [f"up{self.size}-{stem}", str(count), str(self.size), one.url + one.upload_path, user, password]
        return subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-m", "benchmarks.suite.uploader", *words],
            cwd=environments.ROOT, env=clean_environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


def rows(*, quick: bool) -> list[UploadRow]:
    """The rows."""
    small = 200 if quick else 500
    found = [UploadRow(small, 0, f"{small} small wheels, 2 clients", "wheels/s")]
    return found if quick else [*found, UploadRow(20, 20_000_000, "20 wheels of 20 MB, 2 clients", "MB/s")]
