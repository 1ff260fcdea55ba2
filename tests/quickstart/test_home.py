"""The data directory: its mode, its environment file, its Redis."""

import os
import socket
from pathlib import Path

import pytest

from pkgindex.env import read_file
from pkgindex.quickstart import home
from pkgindex.quickstart.supervisor import Plan, commands
from pkgindex.quickstart.welcome import welcome
from tests.quickstart.service import mode


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    """Neither the test's own Redis and key nor its umask are the operator's."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("SECRET_KEY", raising=False)
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("made", [False, True])
def test_directory_is_its_owner_s(tmp_path, made):
    """A new folder, with its parents, or an empty one is closed to others."""
    path = tmp_path / "a" / "b"
    if made:
        path.mkdir(mode=0o755, parents=True)

    home.open_directory(path)

    assert mode(path) == 0o700


def test_folder_of_other_things_keeps_its_mode(tmp_path):
    """A folder that holds something else is not closed to others; what comes into it is."""
    (tmp_path / "notes").write_text("")
    tmp_path.chmod(0o755)

    home.open_directory(tmp_path)
    (tmp_path / "new").touch()

    assert (mode(tmp_path), mode(tmp_path / "new")) == (0o755, 0o600)


def test_environment_is_written_once(tmp_path):
    """The second start finds key, password and port as the first left them."""
    command = home.complete_environment(tmp_path)
    before = (tmp_path / "pkgindex.env").read_text()

    assert home.complete_environment(tmp_path) == command
    assert (tmp_path / "pkgindex.env").read_text() == before
    assert mode(tmp_path / "pkgindex.env") == 0o600
    assert len(read_file(tmp_path / "pkgindex.env")["SECRET_KEY"]) >= 50


def test_port_that_was_taken_meanwhile_is_replaced(tmp_path):
    """Redis moves to another port and everything else, also what the operator wrote, stays."""
    home.complete_environment(tmp_path)
    path = tmp_path / "pkgindex.env"
    path.write_text("# mine\nLOG_LEVEL=DEBUG\n" + path.read_text().rstrip("\n"))
    before = read_file(path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(before[home.OWN_PORT])))
        other.listen()

        home.complete_environment(tmp_path)

    after = read_file(path)
    assert after[home.OWN_PORT] != before[home.OWN_PORT]
    assert after["REDIS_URL"] == before["REDIS_URL"].replace(before[home.OWN_PORT], after[home.OWN_PORT])
    assert path.read_text().startswith("# mine\nLOG_LEVEL=DEBUG\n")
    assert (after["SECRET_KEY"], after["LOG_LEVEL"]) == (before["SECRET_KEY"], "DEBUG")


@pytest.mark.parametrize("where", ["environment", "file"])
def test_operator_s_redis_is_used_and_none_started(tmp_path, monkeypatch, where):
    """REDIS_URL given by the operator is left alone."""
    if where == "environment":
        monkeypatch.setenv("REDIS_URL", "redis://cache.example.org:6379")
    else:
        (tmp_path / "pkgindex.env").write_text("REDIS_URL=redis://cache.example.org:6379\n")

    assert home.complete_environment(tmp_path) is None
    assert home.OWN_PORT not in read_file(tmp_path / "pkgindex.env")
    assert "SECRET_KEY" in read_file(tmp_path / "pkgindex.env")


@pytest.mark.parametrize(
    ("host", "url", "listen"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000", "0.0.0.0:8000"),
        ("::1", "http://[::1]:8000", "[::1]:8000"),
        ("::", "http://[::1]:8000", "[::]:8000"),
    ],
)
def test_address(host, url, listen):
    """An IPv6 address stands in brackets; a wildcard is reached through loopback."""
    plan = Plan(Path("/data"), host, 8000, 2, with_worker=False, redis=None)
    parts = commands(plan, fresh=False)

    assert plan.url == url
    assert parts["web"][parts["web"].index("--bind") + 1] == listen
    assert set(parts) == {"web", "up"}


def test_later_welcome_shows_where_the_secrets_are():
    """Without fresh secrets the lines hold a placeholder."""
    text = welcome("http://127.0.0.1:8000", None, "/data/credentials.json")

    assert "pip install --index-url http://__token__:TOKEN@127.0.0.1:8000/simple/ NAME" in text
    assert "/data/credentials.json" in text
