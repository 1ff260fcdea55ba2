"""What every contestant can be asked."""

import re
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import httpx

from benchmarks.suite.corpus import Corpus
from benchmarks.suite.servers import Server
from tests.support.distributions import form

Auth = tuple[str, str] | None
FILL_SECONDS = 300


class NotOffered(Exception):
    """The contestant does not do this; the sentence says what is missing."""


@dataclass
class World:
    """What a contestant may use when it starts: a folder of its own, the corpus, and who has started before it."""

    home: Path
    corpus: Corpus
    started: dict[str, "Contestant"] = field(default_factory=dict)


class Contestant(ABC):
    """One index server with the corpus in it. `start`, ask, `stop`; `stop` is safe whatever `start` got to."""

    name: str  # one word, for the command line and the table
    what: str  # one sentence for the report
    listings = False  # whether it has the huge listings
    auth: Auth = None  # sent with every request
    simple = "/simple/"
    upload_path = ""  # empty: takes no uploads

    def __init__(self) -> None:
        self.port = 0
        self.home = Path()  # a folder of its own, set before it starts
        self.servers: list[Server] = []

    @abstractmethod
    def start(self, world: World) -> None:
        """Start on a free port and take the corpus in. Raises any exception with a sentence."""

    def stop(self) -> None:
        """End what was started."""
        for server in self.servers:
            server.kill()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def page_url(self, project: str, index: str = "") -> str:
        """The page of a project or, with an empty name, the list of projects. Raises NotOffered."""
        if index or (project in ("ten-thousand", "forty-three-thousand") and not self.listings):
            raise NotOffered("not run")
        return f"{self.url}{self.simple}{project}/" if project else f"{self.url}{self.simple}"

    def file_url(self, project: str) -> str:
        """The first file of a project's page. Raises NotOffered."""
        headers = {"Accept": "text/html"}
        answer = httpx.get(self.page_url(project), headers=headers, auth=self.auth, timeout=60, follow_redirects=True)
        found = re.search(r"""href=["']([^"']+\.whl[^"']*)["']""", answer.text)
        if answer.status_code != 200 or not found:
            raise NotOffered("not run")
        return urldefrag(urljoin(str(answer.url), unescape(found[1])))[0]

    def upload(self, client: httpx.Client, path: Path) -> None:
        """Publish one wheel. Raises RuntimeError where it is refused."""
        name, version = path.name.split("-")[:2]
        content = path.read_bytes()
        data = form(path.name, content, name, version)
        url = self.url + self.upload_path
        answer = client.post(url, data=data, files={"content": (path.name, content)}, auth=self.auth)
        if answer.status_code not in (200, 201):
            raise RuntimeError(f"upload of {path.name}: {answer.status_code} {answer.text[:200]}")

    def upload_all(self, corpus: Corpus) -> None:
        """Publish the whole corpus. Raises RuntimeError where that takes too long."""
        end = time.monotonic() + FILL_SECONDS
        with httpx.Client(timeout=120) as client:
            for path in (path for paths in corpus.projects.values() for path in paths):
                self.upload(client, path)
                if time.monotonic() > end:
                    raise RuntimeError(f"the corpus was not in after {FILL_SECONDS} s")

    def resident(self) -> int:
        """Bytes of memory of all its processes."""
        return sum(server.resident() for server in self.servers)

    def cpu(self) -> float:
        """Seconds of processor time of all its processes, without those of Redis and of the database."""
        return sum(server.cpu() for server in self.servers)
