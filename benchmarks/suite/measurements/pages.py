# ruff: noqa: D102 - the base class says what each method does
"""Pages: small, of 500 files and more, in both forms, compressed or not, and answered with 304."""

from dataclasses import dataclass

import httpx

from benchmarks.suite.contestant import Contestant, NotOffered
from benchmarks.suite.corpus import MANY, SMALL, Corpus
from benchmarks.suite.measurements.base import Figure, Measurement
from benchmarks.suite.wrk import authorization, load

HTML, JSON = "text/html", "application/vnd.pypi.simple.v1+json"
LARGE = 1_000_000  # a body of more bytes is asked for over fewer connections and longer
TITLES = {
    SMALL: "one file", MANY: "500 files", "ten-thousand": "10,000 files", "forty-three-thousand": "43,000 files",
    "names-100k": "list of 100,000 names", "names-780k": "list of 780,000 names",
}  # fmt: skip


@dataclass(eq=False)
class PageRow(Measurement):
    """One page in one form and coding."""

    project: str
    form: str
    encoding: str
    conditional: bool = False
    index: str = ""
    seconds: float = 1.0

    part = "read"
    unit = "requests/s"

    def __post_init__(self) -> None:
        kind = "JSON" if self.form == JSON else "HTML"
        how = "304" if self.conditional else self.encoding
        self.title = f"{TITLES[self.project or self.index]}, {kind}, {how}"
        self.key = f"read {self.title}"
        self._ready: dict[str, tuple[str, dict[str, str], int]] = {}

    def request(self, one: Contestant) -> tuple[str, dict[str, str]]:
        """URL and headers. Raises NotOffered."""
        headers = {"Accept": self.form, "Accept-Encoding": self.encoding, **authorization(one.auth)}
        return one.page_url(self.project, self.index), headers

    def ready(self, one: Contestant) -> None:
        url, headers = self.request(one)
        with httpx.stream("GET", url, headers=headers, timeout=180) as answer:
            size = sum(len(piece) for piece in answer.iter_raw())
        self._check(answer)
        if self.conditional:
            if "ETag" not in answer.headers:
                raise NotOffered("no ETag")
            headers["If-None-Match"] = answer.headers["ETag"]
            again = httpx.get(url, headers=headers, timeout=60)
            if again.status_code != 304:
                raise NotOffered("no 304")
            size = 0
        self._ready[one.name] = (url, headers, size)

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            raise RuntimeError(f"answered {answer.status_code}")
        if self.form == JSON and "json" not in answer.headers.get("Content-Type", ""):
            raise NotOffered("no JSON")
        if self.encoding == "gzip" and answer.headers.get("Content-Encoding") != "gzip":
            raise NotOffered("no gzip")

    def warm_up(self, one: Contestant) -> None:
        url, headers, size = self._ready[one.name]
        if size <= LARGE:  # the largest take longer than anything that a server has to think of again
            load(url, headers, seconds=1, connections=16)

    def once(self, one: Contestant, number: int) -> Figure:  # noqa: ARG002 - every round is alike
        url, headers, size = self._ready[one.name]
        large = size > LARGE
        seconds = self.seconds * (4 if large else 1)
        found = load(url, headers, seconds=seconds, connections=2 if large else 16)
        return Figure(found.requests, found.requests * seconds)


def rows(corpus: Corpus, seconds: float = 1.0) -> list[PageRow]:
    """The pages that this corpus has."""
    found = []
    for project in (SMALL, MANY, *corpus.huge):
        for form in (HTML, JSON):
            found += [PageRow(project, form, encoding, seconds=seconds) for encoding in ("identity", "gzip")]
            found.append(PageRow(project, form, "identity", conditional=True, seconds=seconds))
    for index in corpus.roots:
        for form in (HTML, JSON):
            found += [PageRow("", form, encoding, index=index, seconds=seconds) for encoding in ("identity", "gzip")]
            found.append(PageRow("", form, "identity", conditional=True, index=index, seconds=seconds))
    return found
