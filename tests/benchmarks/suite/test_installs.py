"""Where the benchmark's installations lie, and what is left of them."""

import pytest

from benchmarks.suite.contestant import Contestant
from benchmarks.suite.measurements import installs
from benchmarks.suite.measurements.installs import InstallRow, index_url


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
def asked():
    """The commands that were run, without what makes an environment."""
    return []


@pytest.fixture
def one(tmp_path, monkeypatch, asked):
    """A contestant whose installations only make folders."""

    def install(command, **_more):
        words = list(map(str, command))
        for word in words:
            if word.endswith(("/env", "/before", "/cache")):
                installs.Path(word).mkdir(exist_ok=True)
        if "install" in words:
            asked.append(words)

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


def after(word: str, command: list[str]) -> str:
    """What a command says after an option."""
    return command[command.index(word) + 1]


def test_nothing_stays_in_memory(one, memory, monkeypatch):
    """However many installations there are."""
    monkeypatch.setattr(installs, "ROOM", 0)
    for warm in (False, True):
        row = InstallRow("uv pip", warm)
        for _ in range(3):
            row.once(one, 1)
            assert list(memory.iterdir()) == []


@pytest.mark.parametrize("installer", ["uv pip", "pip"])
def test_a_warm_cache_is_what_an_installation_has_just_left(one, memory, asked, monkeypatch, installer):
    """With the same URL, into another environment; each has a cache of its own."""
    monkeypatch.setattr(installs, "ROOM", 0)
    row = InstallRow(installer, warm=True)
    row.once(one, 1)
    row.once(one, 2)

    assert len(asked) == 4
    for before, measured in (asked[:2], asked[2:]):
        for word in ("--cache-dir", "--index-url"):
            assert after(word, before) == after(word, measured)
        assert before != measured
    assert after("--cache-dir", asked[0]) != after("--cache-dir", asked[2])


def test_without_room_folders_lie_on_the_disk_until_the_round_ends(one, memory, monkeypatch):
    """Since removing them there would slow down the next installation."""
    monkeypatch.setattr(installs, "ROOM", 1 << 60)
    cold = InstallRow("uv pip", warm=False)

    for _ in range(3):
        cold.once(one, 1)

    assert list(memory.iterdir()) == []
    folders = [path for path in one.home.parent.iterdir() if path.name.startswith("install-")]
    assert len(folders) == 3
    cold.clear()
    assert [path.name for path in one.home.parent.iterdir()] == ["ours"]


def test_each_installation_spells_the_same_credentials_in_another_way(one, memory, asked, monkeypatch):
    """And none of them twice, though folders are removed meanwhile."""
    monkeypatch.setattr(installs, "ROOM", 0)
    cold = InstallRow("uv pip", warm=False)

    for _ in range(len(one.auth[1])):
        cold.once(one, 1)

    urls = [after("--index-url", command) for command in asked]
    assert len(set(urls)) == len(urls)
    assert index_url(one, 0) not in urls
