"""Real installers against rates below their own: shaped before refused, and refused only within the rules."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.support.distributions import form, wheel
from tests.support.live import LiveServer

pytestmark = pytest.mark.clients
# What every answer said: status, Retry-After, RateLimit.
ACCESS = '%(s)s "%({retry-after}o)s" "%({ratelimit}o)s" %(r)s'
LINE = re.compile(r'(?P<status>\d{3}) "(?P<wait>[^"]*)" "(?P<state>.*)" (?P<method>[A-Z]+) ')
COMMANDS = {"pip": ["install"], "uv": ["pip", "install"]}


@dataclass
class Run:
    """What one installation took and what it was told."""

    seconds: float
    statuses: Counter[str]
    refusals: list[re.Match[str]]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return sum(self.statuses.values()) / self.seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    """Two processes with as many threads as ours have, and a log of every answer."""
    directory = tmp_path_factory.mktemp("live")
    log = ("--access-logfile", str(directory / "access.log"), "--access-logformat", ACCESS, "--keep-alive", "65")
    with LiveServer(directory, workers=2, threads=32, options=log) as live:
        yield live


@pytest.fixture(scope="module")
def url(server) -> str:
    """The index's URL; `whole-25` and `whole-100` need so many projects."""
    names = [f"part-{i}" for i in range(100)]
    built = [(name, wheel(name)) for name in names]
    built += [
        (f"whole-{n}", wheel(f"whole-{n}", "1.0", *[f"Requires-Dist: {name}" for name in names[:n]])) for n in (25, 100)
    ]
    with httpx.Client(auth=server.auth, timeout=60) as client:
        for name, (filename, content) in built:
            data, files = form(filename, content, name), {"content": (filename, content)}
            assert client.post(f"{server.url}/legacy/", data=data, files=files).status_code == 200
    return f"http://__token__:{server.token}@127.0.0.1:{server.port}/simple/"


@pytest.fixture
def install(server, url, run, tmp_path):
    """Install an application with `count` dependencies at a rate; asserts that what arrives is right."""
    log = server.directory / "access.log"

    def call(program: str, count: int, text: str) -> Run:
        limit(server, tmp_path, text)
        target = tmp_path / f"target-{time.monotonic_ns()}"
        before, begun = log.stat().st_size, time.monotonic()
        options = ["--no-cache-dir", "--disable-pip-version-check"] if program == "pip" else ["--no-cache"]
        run(program, *COMMANDS[program], *options, "--index-url", url, "--target", str(target), f"whole-{count}")
        seconds = time.monotonic() - begun
        time.sleep(0.2)
        with log.open() as file:
            file.seek(before)
            lines = [LINE.match(line) for line in file]
        answers = [line for line in lines if line]
        assert len(list(target.glob("*.dist-info"))) == count + 1
        assert all((target / f"part_{i}" / "__init__.py").read_text() == '__version__ = "1.0"\n' for i in range(count))
        refusals = [answer for answer in answers if answer["status"] == "429"]
        return Run(seconds, Counter(answer["status"] for answer in answers), refusals)

    yield call
    limit(server, tmp_path, "")


def limit(server: LiveServer, folder, text: str) -> None:
    path = folder / "plans.toml"
    plan = f'[plans.p]\nassign = ["users"]\n[plans.p.limits]\npace = "{text}"\n' if text else ""
    path.write_text("prune = true\n" + plan)
    for words in (["apply", str(path)], ["clear", "user:1"]):
        done = server.manage("limits", *words)
        assert done.returncode == 0, done.stderr
    time.sleep(2)  # a plan is in force everywhere within two seconds


def shaped(install, program: str, count: int) -> None:
    """Measure the client's own rate, then offer a 1.2th and a fifth of it."""
    natural = install(program, count, "1000000/day calendar")
    assert set(natural.statuses) == {"200"}

    tight = install(program, count, f"{round(natural.rate / 1.2)}/second burst=10 delay=2s")
    # One uv opens fifty connections at once: those beyond what a process may hold back are told to come again.
    most = 0 if program == "pip" else 0.05 * sum(tight.statuses.values())
    assert len(tight.refusals) <= most, tight.statuses
    assert tight.statuses["200"] == natural.statuses["200"]

    far = install(program, count, f"{max(1, round(natural.rate / 5))}/second burst=10 delay=2s")
    assert far.seconds > natural.seconds
    for refusal in [*tight.refusals, *far.refusals]:
        assert refusal["wait"] in {"1", "2", "3"}, refusal.string
        assert '"pace";r=0' in refusal["state"].replace("\\", ""), refusal.string  # the log escapes quotes


@pytest.mark.parametrize("program", ["pip", "uv"])
def test_installs_of_25_packages_are_shaped_before_refused(install, program):
    """1.2 times the rate: as good as no refusal; five times: slower, right, and every 429 says when to return."""
    shaped(install, program, 25)


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize("program", ["pip", "uv"])
def test_installs_of_100_packages_are_shaped_before_refused(install, program):
    """The full form."""
    shaped(install, program, 100)
