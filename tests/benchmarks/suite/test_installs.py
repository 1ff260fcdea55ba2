"""Where the benchmark's installations lie, and what is left of them."""

from collections import deque

import pytest

from benchmarks.suite.contestant import Contestant
from benchmarks.suite.measurements import installs
from benchmarks.suite.measurements.installs import KEPT, InstallRow, index_url


class Named(Contestant):
    """One that is asked nothing, since the installer is replaced."""

    name = "ours"
    auth = ("user", "secret")

    def start(self, world) -> None:
        """Nothing to start."""

    def page_url(self, project: str) -> str:
        """Of the only index."""
        return f"http://localhost/simple/{project}"


@pytest.fixture
def one(tmp_path, monkeypatch):
    """A contestant whose installations only make folders."""

    def install(command, **_more):
        for word in map(str, command):
            if word.endswith(("/env", "/cache")):
                (tmp_path / "made").write_text(word)
                installs.Path(word).mkdir(exist_ok=True)

    monkeypatch.setattr(installs, "run", install)
    monkeypatch.setattr(installs, "uv", lambda: "uv")
    made = Named()
    made.home = tmp_path / "disk" / "ours"
    made.home.mkdir(parents=True)
    return made


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A folder that passes for memory."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(installs, "MEMORY", folder)
    return folder


def rows() -> list[InstallRow]:
    """Cold and warm, sharing what the first leaves."""
    shared: dict = {}
    return [InstallRow("uv pip", warm, shared) for warm in (False, True)]


def test_memory_keeps_the_last_caches_alone(one, memory, monkeypatch):
    """However many installations there are; those with a warm cache use each in turn and leave nothing."""
    monkeypatch.setattr(installs, "ROOM", 0)
    cold, warm = rows()

    for _ in range(KEPT + 3):
        cold.once(one, 1)
    assert len(list(memory.iterdir())) == KEPT
    used = []
    for _ in range(2 * KEPT):
        warm.once(one, 1)
        used.append(warm.known["ours"][-1])
    assert len(list(memory.iterdir())) == KEPT
    assert used == 2 * used[:KEPT]
    assert len(set(used)) == KEPT
    for row in (cold, warm):
        row.clear()
    assert list(memory.iterdir()) == []


def test_without_room_folders_lie_on_the_disk_until_the_round_ends(one, memory, monkeypatch):
    """Since removing them there would slow down the next installation."""
    monkeypatch.setattr(installs, "ROOM", 1 << 60)
    cold, _ = rows()

    for _ in range(KEPT + 3):
        cold.once(one, 1)

    assert list(memory.iterdir()) == []
    folders = [path for path in one.home.parent.iterdir() if path.name.startswith("install-")]
    assert len(folders) == KEPT + 3
    cold.clear()
    assert [path.name for path in one.home.parent.iterdir()] == ["ours"]


def test_each_installation_spells_the_same_credentials_in_another_way(one, memory, monkeypatch):
    """And none of them twice, though folders are removed meanwhile."""
    monkeypatch.setattr(installs, "ROOM", 0)
    cold, _ = rows()
    urls = []

    for _ in range(len(one.auth[1])):
        cold.once(one, 1)
        urls.append(cold.known["ours"][-1][1])

    assert len(set(urls)) == len(urls)
    assert index_url(one, 0) not in urls
    assert isinstance(cold.known["ours"], deque)
