"""Installers and uploaders under limits."""

import time

import httpx
import pytest

from tests.support.distributions import form, wheel

pytestmark = pytest.mark.clients
PROJECTS = [f"part-{i}" for i in range(12)]


@pytest.fixture(scope="module")
def url(server) -> str:
    """The index's URL with credentials; the index holds twelve projects that one application needs."""
    built = [wheel(name) for name in PROJECTS]
    built.append(wheel("whole", "1.0", *[f"Requires-Dist: {name}" for name in PROJECTS]))
    with httpx.Client(auth=server.auth, timeout=60) as client:
        for name, (filename, content) in zip([*PROJECTS, "whole"], built, strict=True):
            data, files = form(filename, content, name), {"content": (filename, content)}
            assert client.post(f"{server.url}/legacy/", data=data, files=files).status_code == 200
    return f"http://__token__:{server.token}@127.0.0.1:{server.port}/simple/"


@pytest.fixture
def limited(server, tmp_path):
    """Limit everybody who signs in: `limited("10/second")`; gone when the test ends."""

    def apply(text: str) -> None:
        path = tmp_path / "plans.toml"
        path.write_text(text)
        done = server.manage("limits", "apply", str(path))
        assert done.returncode == 0, done.stderr
        time.sleep(2)  # a plan is in force everywhere within two seconds

    yield lambda rate: apply(f'prune = true\n[plans.p]\nassign = ["users"]\n[plans.p.limits]\nl = "{rate}"\n')
    apply("prune = true\n")


@pytest.mark.parametrize("rate", ["20/second burst=10 delay=2s", "10/second burst=20"])
@pytest.mark.parametrize("program", ["pip", "uv"])
def test_installs_finish_when_shaped_and_when_refused_now_and_then(server, url, run, limited, tmp_path, program, rate):
    """Held back up to two seconds, or told to return in a few: pip and uv finish."""
    limited(rate)
    words = ["install"] if program == "pip" else ["pip", "install"]

    run(program, *words, "--index-url", url, "--target", str(tmp_path / "t"), "whole")

    assert len(list((tmp_path / "t").glob("*.dist-info"))) == len(PROJECTS) + 1


def test_uploader_is_told_which_limit_it_met(server, url, run, write, limited):
    """Twine prints the sentence of a 429, and nothing is stored."""
    limited("1/hour fixed")
    paths = [str(write(wheel("one-too-many", version))) for version in ("1.0", "2.0")]

    done = run("twine", "upload", "--repository-url", f"{server.url}/legacy/", "-u", "__token__", "-p", server.token,
               *paths, fails=True)  # fmt: skip

    assert "429" in done.stdout + done.stderr
    assert server.evaluate("File.objects.filter(filename__startswith='one_too_many').count()") == 1
