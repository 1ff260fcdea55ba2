"""Every installing client, with this index as its only one."""

import sys

import httpx
import pytest

from tests.support.distributions import form, wheel

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def url(server) -> str:
    """The index's URL with credentials; the index holds an application and the library it needs in three versions."""
    for name, version, lines in [
        ("the-library", "1.0", []),
        ("the-library", "2.0", ["Requires-Python: >=3.8"]),
        ("the-library", "3.0", ["Requires-Python: >=4"]),
        ("the-app", "1.0", ["Requires-Dist: the-library>=1"]),
    ]:
        filename, content = wheel(name, version, *lines)
        answer = httpx.post(
            f"{server.url}/legacy/",
            data=form(filename, content, name, version),
            files={"content": (filename, content)},
            auth=server.auth,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
    return f"http://__token__:{server.token}@127.0.0.1:{server.port}/simple/"


def installed(run, target) -> set[str]:
    """Names and versions in a target folder."""
    return {path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info")}


def test_pip_installs_with_dependencies(url, run, tmp_path):
    """pip resolves through `.metadata`, respects requires-python and checks hashes."""
    run("pip", "install", "--index-url", url, "--target", str(tmp_path / "t"), "the-app")

    assert installed(run, tmp_path / "t") == {"the_app-1.0", "the_library-2.0"}


PIPS = ["23.1.2", "24.0", "24.2"]
if sys.version_info < (3, 12):  # which these do not run on
    PIPS += ["21.3.1", "22.0.2", "22.3.1", "23.0.1"]


@pytest.mark.parametrize("version", PIPS)
def test_pip_of_every_age_installs(url, run, tmp_path, version):
    """The pip of Ubuntu 22.04, of Debian 12, of Python's own installers: people do not upgrade it first."""
    needs = (f"pip=={version}",)
    arguments = ["install", "--no-cache-dir", "--index-url", url, "--target", str(tmp_path / "t"), "the-app"]
    run("pip", *arguments, needs=needs, place=f"pip-{version}")

    assert installed(run, tmp_path / "t") == {"the_app-1.0", "the_library-2.0"}


def test_pip_uses_metadata_files(url, run, tmp_path):
    """pip asks for `.metadata` instead of the wheel while it resolves."""
    done = run(
        "pip", "install", "-v", "--dry-run", "--no-cache-dir", "--ignore-installed", "--index-url", url, "the-app"
    )

    assert "Obtaining dependency information" in done.stdout


def test_pip_index_versions(url, run):
    """`pip index versions` lists what the page lists for this Python."""
    done = run("pip", "index", "versions", "the-library", "--index-url", url)

    assert "2.0, 1.0" in done.stdout


def test_uv_installs_with_dependencies(url, run, tmp_path):
    """uv resolves and installs, given the credentials in the URL."""
    run("uv", "pip", "install", "--index-url", url, "--target", str(tmp_path / "t"), "the-app")

    assert installed(run, tmp_path / "t") == {"the_app-1.0", "the_library-2.0"}


def test_uv_uses_netrc(server, url, run, tmp_path):
    """uv starts without credentials, meets the challenge of every URL and finds its netrc entry."""
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / ".netrc").write_text(f"machine 127.0.0.1 login __token__ password {server.token}\n")

    run("uv", "pip", "install", "--index-url", f"{server.url}/simple/", "--target", str(tmp_path / "t"), "the-app")

    assert installed(run, tmp_path / "t") == {"the_app-1.0", "the_library-2.0"}


def test_uv_locks_and_syncs(server, url, run, tmp_path):
    """`uv lock` records stable URLs, sizes and hashes, and `uv sync --locked` installs from them."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "consumer"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["the-app"]\n'
        f'[[tool.uv.index]]\nname = "ours"\nurl = "{server.url}/simple/"\ndefault = true\n'
    )
    variables = {"UV_INDEX_OURS_USERNAME": "__token__", "UV_INDEX_OURS_PASSWORD": server.token, "UV_NO_CONFIG": "false"}

    run("uv", "lock", cwd=project, **variables)
    lock = (project / "uv.lock").read_text()
    run("uv", "sync", "--locked", cwd=project, **variables)

    assert f"{server.url}/packages/" in lock
    assert "size = " in lock
    assert "upload-time = " in lock


def test_poetry_resolves_from_the_index(server, url, run, tmp_path):
    """poetry locks against the index as its only source."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "consumer"\nversion = "0"\nrequires-python = ">=3.11,<4"\ndependencies = ["the-app"]\n'
        f'[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "ours"\nurl = "{server.url}/simple/"\n'
        'priority = "primary"\n'
    )
    variables = {"POETRY_HTTP_BASIC_OURS_USERNAME": "__token__", "POETRY_HTTP_BASIC_OURS_PASSWORD": server.token}

    run("poetry", "lock", "--no-interaction", cwd=project, **variables)

    assert 'name = "the-library"\nversion = "2.0"' in (project / "poetry.lock").read_text()


def test_pip_without_credentials_is_challenged(server, url, run):
    """Without credentials pip finds nothing on the private index, and its verbose log says 401."""
    done = run("pip", "install", "-vv", "--no-input", "--index-url", f"{server.url}/simple/", "the-app", fails=True)

    assert "401" in done.stdout + done.stderr
