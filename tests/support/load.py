"""Readers that keep a live server busy while something happens to it."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from tests.support.live import LiveServer


@dataclass
class Load:
    """Eight threads that read pages and files until told to end."""

    server: LiveServer
    path: str  # of a file
    statuses: Counter = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    guesses: list[int] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self._threads = [threading.Thread(target=self._read, args=(number,)) for number in range(8)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(30)

    def _read(self, number: int) -> None:
        with httpx.Client(auth=self.server.auth, timeout=15) as client:
            while not self.over.is_set():
                begun = time.monotonic()
                if number < 6:
                    status = client.get(f"{self.server.url}/simple/acme/").status_code
                else:
                    headers = {"Range": "bytes=0-65535"}
                    status = client.get(self.server.url + self.path, headers=headers).status_code
                self.seconds.append(time.monotonic() - begun)
                self.statuses[status] += 1
                time.sleep(0.02)

    def guess(self) -> int:
        """The status of a wrong password."""
        answer = httpx.get(f"{self.server.url}/simple/acme/", auth=("root", "wrong"), timeout=15)
        return answer.status_code
