"""Every publishing client, as its users call it."""

import httpx
import pytest

from tests.support.distributions import sdist, wheel

pytestmark = pytest.mark.clients
SIMPLE_JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


def listed(server, name: str) -> set[str]:
    """The filenames on a project's page."""
    answer = httpx.get(f"{server.url}/simple/{name}/", headers=SIMPLE_JSON, auth=server.auth)
    return {file["filename"] for file in answer.json()["files"]} if answer.status_code == 200 else set()


def unwrapped(done) -> str:
    """What a client printed, without the line breaks that the width of a terminal put into it."""
    return " ".join((done.stdout + done.stderr).split())


def test_twine_uploads_wheel_and_sdist_and_may_repeat_it(server, run, write):
    """twine stores both kinds, and uploading the same bytes again succeeds (it cannot skip on private indexes)."""
    files = [str(write(wheel("by-twine"))), str(write(sdist("by-twine")))]
    arguments = ["upload", "--repository-url", f"{server.url}/legacy/", "-u", "__token__", "-p", server.token, *files]

    run("twine", *arguments)
    run("twine", *arguments)

    assert listed(server, "by-twine") == {"by_twine-1.0-py3-none-any.whl", "by_twine-1.0.tar.gz"}


def test_twine_prints_why_other_bytes_are_refused(server, run, write):
    """Different bytes under a used name are refused, and twine shows our sentence."""
    path = write(wheel("by-twine-twice"))
    arguments = ["upload", "--repository-url", f"{server.url}/legacy", "-u", "__token__", "-p", server.token, str(path)]
    run("twine", *arguments)
    write(wheel("by-twine-twice", files={"other.py": b"x = 1\n"}))

    done = run("twine", *arguments, fails=True)

    assert "File already exists" in unwrapped(done)


def test_twine_with_a_wrong_token_is_told_so(server, run, write):
    """A wrong token ends in 401 with the reason and stores nothing."""
    path = write(wheel("by-nobody"))

    done = run(
        "twine",
        "upload",
        "--repository-url",
        f"{server.url}/legacy/",
        "-u",
        "__token__",
        "-p",
        "wrong",
        str(path),
        fails=True,
    )

    assert "401" in done.stdout + done.stderr
    assert listed(server, "by-nobody") == set()


def test_uv_publishes_and_skips_what_is_there(server, run, write):
    """`uv publish` stores a wheel; with --check-url the second run skips it."""
    path = str(write(wheel("by-uv")))
    arguments = ["publish", "--publish-url", f"{server.url}/legacy/", "--token", server.token]

    run("uv", *arguments, path)
    check = f"http://__token__:{server.token}@127.0.0.1:{server.port}/simple/"
    again = run("uv", *arguments, "--check-url", check, path)

    assert listed(server, "by-uv") == {"by_uv-1.0-py3-none-any.whl"}
    assert "already exists" in again.stderr


def test_uv_shows_our_sentence_on_a_refusal(server, run, write):
    """uv reads the JSON error and prints its message."""
    path = write(wheel("by-uv-twice"))
    arguments = ["publish", "--publish-url", f"{server.url}/legacy/", "--token", server.token, str(path)]
    run("uv", *arguments)
    write(wheel("by-uv-twice", files={"other.py": b"x = 1\n"}))

    done = run("uv", *arguments, fails=True)

    assert "File already exists" in unwrapped(done)


def test_uv_hints_at_the_simple_url(server, run, write):
    """An upload to the index's reading URL is answered 405, which uv explains."""
    done = run(
        "uv",
        "publish",
        "--publish-url",
        f"{server.url}/simple/",
        "--token",
        server.token,
        str(write(wheel("misdirected"))),
        fails=True,
    )

    assert "405" in done.stderr or "simple" in done.stderr


def test_flit_publishes_without_a_part_type(server, run, tmp_path):
    """flit sends the file part without a Content-Type and an sdist without pyversion; both are stored."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "by_flit.py").write_text('"""Made by flit."""\n__version__ = "1.0"\n')
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
        '[project]\nname = "by-flit"\ndynamic = ["version", "description"]\nauthors = [{name = "A. Nobody"}]\n'
    )
    variables = {"FLIT_INDEX_URL": f"{server.url}/legacy/", "FLIT_USERNAME": "__token__", "FLIT_PASSWORD": server.token}

    run("flit", "publish", "--no-use-vcs", cwd=project, **variables)

    assert listed(server, "by-flit") == {"by_flit-1.0-py2.py3-none-any.whl", "by_flit-1.0.tar.gz"}


def test_hatch_publishes_and_skips_what_it_finds(server, run, write):
    """hatch stores a wheel, and its second run finds the file through the `+simple` probe and skips it."""
    path = str(write(wheel("by-hatch")))
    arguments = ["publish", "--no-prompt", "-r", f"{server.url}/legacy/", "-u", "__token__", "-a", server.token, path]

    run("hatch", *arguments)
    again = run("hatch", *arguments)

    assert listed(server, "by-hatch") == {"by_hatch-1.0-py3-none-any.whl"}
    assert "already exists" in (again.stdout + again.stderr)


def test_poetry_publishes_and_skips_existing(server, run, write, tmp_path):
    """poetry stores a wheel, a repetition succeeds, and --skip-existing passes over different bytes."""
    write(wheel("by-poetry"))
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "by-poetry"\nversion = "1.0"\n[build-system]\nrequires = ["poetry-core"]\n'
        'build-backend = "poetry.core.masonry.api"\n'
    )
    variables = {"POETRY_REPOSITORIES_OURS_URL": f"{server.url}/legacy/"}
    arguments = ["publish", "--no-interaction", "-r", "ours", "-u", "__token__", "-p", server.token]

    run("poetry", *arguments, **variables)
    run("poetry", *arguments, **variables)
    write(wheel("by-poetry", files={"other.py": b"x = 1\n"}))
    run("poetry", *arguments, "--skip-existing", **variables)
    done = run("poetry", *arguments, fails=True, **variables)

    assert listed(server, "by-poetry") == {"by_poetry-1.0-py3-none-any.whl"}
    assert "File already exists" in unwrapped(done)
