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
    """Limit everybody who signs in: `limited("10/second")`, with further fields of the limit; gone at the end."""
    path, banning = tmp_path / "plans.toml", []

    def manage(*words: str) -> None:
        done = server.manage("limits", *words)
        assert done.returncode == 0, done.stderr

    def limit(rate: str, **more: object) -> None:
        banning.extend(name for name in more if name == "ban_seconds")
        fields = ", ".join(f"{name} = {value}" for name, value in {"rate": f'"{rate}"', **more}.items())
        path.write_text(f'prune = true\n[plans.p]\nassign = ["users"]\n[plans.p.limits]\nl = {{{fields}}}\n')
        manage("apply", str(path))
        time.sleep(2)  # a plan is in force everywhere within two seconds

    yield limit
    path.write_text("prune = true\n")
    manage("apply", str(path))
    manage("clear", "user:1")
    if banning:
        manage("lift", "user:1")


SHAPED, NOW_AND_THEN = "20/second burst=10 delay=2s", "10/second burst=20"
USED_UP, BANNED = "5/day calendar", "5/minute"
# Seconds within which a client gives up: uv asks four times and poetry six, whatever they are told.
AT_ONCE = {"pip": 45, "uv": 45, "poetry": 120, "twine": 45}


@pytest.fixture
def installing(server, url, run, tmp_path):
    """Install the application by one of the clients."""

    def poetry(*, fails: bool, **_: str):
        project = tmp_path / "project"
        project.mkdir()
        (project / "pyproject.toml").write_text(
            '[project]\nname = "consumer"\nversion = "0"\nrequires-python = ">=3.11,<4"\ndependencies = ["whole"]\n'
            "[tool.poetry]\npackage-mode = false\n"
            f'[[tool.poetry.source]]\nname = "ours"\nurl = "{server.url}/simple/"\npriority = "primary"\n'
        )
        variables = {
            "POETRY_HTTP_BASIC_OURS_USERNAME": "__token__",
            "POETRY_HTTP_BASIC_OURS_PASSWORD": server.token,
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "POETRY_VIRTUALENVS_OPTIONS_NO_PIP": "true",
        }
        done = run("poetry", "lock", "-v", "--no-interaction", cwd=project, fails=fails, **variables)
        if fails:
            return done, 0
        done = run("poetry", "install", "--no-interaction", cwd=project, **variables)
        return done, len(list(project.glob(".venv/lib/python*/site-packages/*.dist-info")))

    def other(program: str, *, fails: bool):
        words = ["install", "-vv"] if program == "pip" else ["pip", "install"]
        options = ["--no-cache-dir", "--disable-pip-version-check"] if program == "pip" else ["--no-cache"]
        target = tmp_path / "target"
        done = run(program, *words, *options, "--index-url", url, "--target", str(target), "whole", fails=fails)
        return done, len(list(target.glob("*.dist-info")))

    return lambda program, *, fails=False: poetry(fails=fails) if program == "poetry" else other(program, fails=fails)


@pytest.mark.parametrize("rate", [SHAPED, NOW_AND_THEN])
@pytest.mark.parametrize("program", ["pip", "uv", pytest.param("poetry", marks=pytest.mark.proof, id="poetry")])
def test_installs_finish_when_shaped_and_when_refused_now_and_then(installing, limited, program, rate):
    """Held back up to two seconds, or told to return in a few: pip, uv and poetry finish."""
    limited(rate)

    _, count = installing(program)

    assert count == len(PROJECTS) + 1


@pytest.mark.parametrize(
    ("program", "rate"),
    [
        ("pip", USED_UP),
        ("uv", USED_UP),
        pytest.param("poetry", USED_UP, marks=pytest.mark.proof),
        pytest.param("pip", BANNED, marks=pytest.mark.proof),
        pytest.param("uv", BANNED, marks=pytest.mark.proof),
        pytest.param("poetry", BANNED, marks=pytest.mark.proof),
    ],
)
def test_installs_fail_soon_and_say_why_when_waiting_does_not_help(installing, limited, program, rate):
    """The day's quota is used up, or the caller banned: no client sleeps, each shows our sentence."""
    limited(rate, **({"ban_seconds": 600} if rate == BANNED else {}))
    begun = time.monotonic()

    done, _ = installing(program, fails=True)

    assert time.monotonic() - begun < AT_ONCE[program]
    said = " ".join((done.stdout + done.stderr).split())
    assert "429" in said
    if program != "uv":  # which prints the status and the standard's words for it
        assert "The limit l (" in said or "blocked after abnormal use" in said


def publishing(server, run, program: str, paths: list[str], *, fails: bool = False):
    """Upload with twine or uv."""
    if program == "twine":
        words = ["upload", "--repository-url", f"{server.url}/legacy/", "-u", "__token__", "-p", server.token]
    else:
        words = ["publish", "--publish-url", f"{server.url}/legacy/", "--token", server.token]
    return run(program, *words, *paths, fails=fails)


@pytest.mark.parametrize("program", ["twine", "uv"])
def test_uploads_finish_when_shaped(server, run, write, limited, program):
    """Three files at one a second: held back, and all of them there."""
    limited("1/second burst=1 delay=2s")
    name = f"slowly-by-{program}"

    publishing(server, run, program, [str(write(wheel(name, f"{i}.0"))) for i in range(3)])

    stem = name.replace("-", "_")
    assert server.evaluate(f"File.objects.filter(filename__startswith='{stem}').count()") == 3


@pytest.mark.parametrize("program", ["twine", "uv"])
def test_uploader_is_told_which_limit_it_met(server, run, write, limited, program):
    """The sentence of a 429 is printed, and nothing is stored."""
    limited("1/hour fixed")
    name = f"one-too-many-by-{program}"

    done = publishing(server, run, program, [str(write(wheel(name, f"{i}.0"))) for i in (1, 2)], fails=True)

    said = " ".join((done.stdout + done.stderr).split())
    assert "429" in said
    assert "The limit l (1/hour" in said
    stem = name.replace("-", "_")
    assert server.evaluate(f"File.objects.filter(filename__startswith='{stem}').count()") == 1


@pytest.mark.parametrize("program", ["twine", "uv"])
def test_uploader_that_is_banned_is_told_so(server, run, write, limited, program):
    """At once, with the reason."""
    limited("1/minute", ban_seconds=600)
    name = f"banned-{program}"

    paths = [str(write(wheel(name, f"{i}.0"))) for i in (1, 2, 3)]
    publishing(server, run, program, paths, fails=True)
    begun = time.monotonic()
    done = publishing(server, run, program, paths[:1], fails=True)

    assert time.monotonic() - begun < AT_ONCE[program]
    assert "blocked after abnormal use" in " ".join((done.stdout + done.stderr).split())
