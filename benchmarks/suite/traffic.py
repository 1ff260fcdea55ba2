"""A mixed load: clients that each wait for an answer before they ask for more, so that nothing queues up."""

import http.client
import itertools
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from benchmarks.suite.contestant import Auth
from benchmarks.suite.uploader import upload_request
from benchmarks.suite.wrk import authorization
from pkgindex.accounts import tokens

HTML, JSON = "text/html", "application/vnd.pypi.simple.v1+json"
ANSWER_SECONDS = 60.0  # a later answer is a fault
END_SECONDS = 75.0  # for all clients to end: a little more than their slowest answer
PAUSE_SECONDS = 0.002  # leaves the machine some room
FAULTS_KEPT = 20
VERSION = itertools.count(1)  # of uploads: each is new


@dataclass
class Tally:
    """What all clients saw."""

    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: int = 0
    first_faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, status: int) -> None:
        """Count an answer."""
        with self.lock:
            self.statuses[status] += 1

    def kind(self, name: str) -> None:
        """Count a piece of work."""
        with self.lock:
            self.kinds[name] += 1

    def fault(self, sentence: str) -> None:
        """Count what should not have been."""
        with self.lock:
            self.faults += 1
            if len(self.first_faults) < FAULTS_KEPT:
                self.first_faults.append(sentence)

    @property
    def requests(self) -> int:
        """Answers of all kinds."""
        with self.lock:
            return sum(self.statuses.values())


class Fault(Exception):
    """An answer that should not have been."""


class Client:
    """One client with one kept connection; `work` until told to end."""

    def __init__(self, number: int, port: int, auth: Auth, names: list[str], tally: Tally, addresses: int) -> None:
        self.addresses = addresses
        self.port, self.names, self.tally = port, names, tally
        self.headers = authorization(auth)
        self.chance = random.Random(number)  # noqa: S311 - no secret
        self.connection = self._connect()
        self.kinds: dict[str, tuple[int, Callable[[], None]]] = {
            "page": (40, self.page),
            "page again, 304": (15, self.unchanged),
            "list of projects": (1, self.listing),
            "metadata": (12, self.metadata),
            "download": (8, self.download),
            "range": (8, self.part),
            "upload": (1, self.upload),
            "wrong token": (4, self.stranger),
            "404": (6, self.missing),
        }

    def work(self, over: threading.Event) -> None:
        """Ask, wait, ask; a fault is noted and the connection made anew."""
        names, weights = list(self.kinds), [weight for weight, _ in self.kinds.values()]
        while not over.wait(PAUSE_SECONDS):
            name = self.chance.choices(names, weights)[0]
            try:
                self.kinds[name][1]()
            except (Fault, OSError, http.client.HTTPException, ValueError, KeyError) as error:
                self.tally.fault(f"{name}: {error or type(error).__name__}")
                self.connection.close()
            self.tally.kind(name)
        self.connection.close()

    def page(self) -> None:
        """A page in one of its four forms."""
        self._page()

    def unchanged(self) -> None:
        """A page, and again with its ETag: 200 where somebody uploaded in between."""
        path, headers, etag = self._page()
        self._ask(path, {200, 304}, headers=headers | {"If-None-Match": etag})

    def listing(self) -> None:
        """The list of all projects."""
        self._ask("/simple/", {200}, headers={"Accept": self.chance.choice((HTML, JSON)), "Accept-Encoding": "gzip"})

    def metadata(self) -> None:
        """The metadata of a file (PEP 658)."""
        if path := self._file("core-metadata"):
            self._ask(path + ".metadata", {200})

    def download(self) -> None:
        """A whole file."""
        self._ask(self._file(), {200})

    def part(self) -> None:
        """A piece of a file (RFC 9110, 14)."""
        first = self.chance.randrange(500)
        self._ask(self._file(), {206}, headers={"Range": f"bytes={first}-{first + self.chance.randrange(300)}"})

    def upload(self) -> None:
        """A wheel that nobody has yet, so that pages and lists are made anew."""
        body, kind = upload_request(self._name(), f"9.{next(VERSION)}", 0, f"http://127.0.0.1:{self.port}/legacy/")
        headers = self.headers | {"Content-Type": kind}
        self._send(self.connection, "/legacy/", {200}, headers=headers, body=body)

    def stranger(self) -> None:
        """A token of nobody, never the same, from one of many addresses."""
        connection = self._connect(stranger=True)
        try:
            headers = authorization(("__token__", tokens.seal(self.chance.getrandbits(128)))) | {"Accept": HTML}
            self._send(connection, f"/simple/{self._name()}/", {401, 403, 429}, headers=headers)
        finally:
            connection.close()

    def missing(self) -> None:
        """A project or a file that there is not."""
        nobody = f"nobody-{self.chance.randrange(10**9)}"
        digest = f"{self.chance.getrandbits(256):064x}"
        file = f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{nobody.replace('-', '_')}-1.0-py3-none-any.whl"
        self._ask(self.chance.choice((f"/simple/{nobody}/", file)), {404})

    def _page(self) -> tuple[str, dict[str, str], str]:
        path = f"/simple/{self._name()}/"
        accept, coding = self.chance.choice((HTML, JSON)), self.chance.choice(("gzip", "identity"))
        headers = {"Accept": accept, "Accept-Encoding": coding}
        return path, headers, self._ask(path, {200}, headers=headers)[1]

    def _file(self, having: str = "url") -> str:
        """The path of some file of some page; empty where no file there has that key."""
        body, _ = self._ask(f"/simple/{self._name()}/", {200}, headers={"Accept": JSON})
        found = [file["url"] for file in json.loads(body)["files"] if file.get(having)]
        return urlsplit(self.chance.choice(found)).path if found else ""

    def _name(self) -> str:
        return self.chance.choice(self.names)

    def _ask(self, path: str, right: set[int], *, headers: dict[str, str] | None = None) -> tuple[bytes, str]:
        return self._send(self.connection, path, right, headers=self.headers | (headers or {}))

    def _send(
        self, connection: http.client.HTTPConnection, path: str, right: set[int], *, headers: dict[str, str],
        body: bytes | None = None,
    ) -> tuple[bytes, str]:  # fmt: skip
        """Body and ETag of the answer. Raises Fault where its status is none of `right`."""
        method = "POST" if body else "GET"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.tally.answer(answer.status)
        if answer.status not in right:
            raise Fault(f"{method} {path} answered {answer.status}: {content[:200]!r}")
        return content, answer.headers.get("ETag", "")

    def _connect(self, *, stranger: bool = False) -> http.client.HTTPConnection:
        where = None
        if stranger and sys.platform == "linux":  # which has all of 127.0.0.0/8 on loopback
            where = (str(ip_address("127.1.0.0") + self.chance.randrange(self.addresses)), 0)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS, source_address=where)


class Traffic:
    """All clients, a thread each. `with Traffic(…):` starts them and ends them again."""

    def __init__(self, clients: int, port: int, auth: Auth, names: list[str], addresses: int) -> None:
        self.tally, self.over = Tally(), threading.Event()
        made = [Client(number, port, auth, names, self.tally, addresses) for number in range(clients)]
        self.threads = [threading.Thread(target=each.work, args=(self.over,), daemon=True) for each in made]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(END_SECONDS / len(self.threads))
