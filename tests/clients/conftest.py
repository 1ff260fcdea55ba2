"""One real server for all clients of a module, and a way to run a client in a clean environment."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clients import client_environment
from tests.support.live import LiveServer
from tests.support.servers import ended_environment

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    """A live server with the private default index `main`."""
    with LiveServer(tmp_path_factory.mktemp("live")) as live:
        yield live


@pytest.fixture
def run(tmp_path) -> Run:
    """Run a client's program to its end with HOME, caches and configuration of its own; asserts success.

    `run("twine", "upload", …)` uses the environment of that name, or of the name `place`.
    `fails=True` asserts a failure instead.
    """

    def call(
        program: str,
        *arguments: str,
        needs: tuple[str, ...] = (),
        place: str = "",
        cwd: Path | None = None,
        fails: bool = False,
        **variables: str,
    ) -> "subprocess.CompletedProcess[str]":
        bin_directory = client_environment(place or program, *needs)
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        variables = {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "NO_COLOR": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            **variables,
        }
        variables["PATH"] = f"{bin_directory}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [str(bin_directory / program), *arguments],
            cwd=cwd or tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            stdin=subprocess.DEVNULL,
            env=ended_environment(**variables),
        )
        assert (done.returncode != 0) is fails, f"{program} {arguments}\n{done.stdout}\n{done.stderr}"
        return done

    return call


@pytest.fixture
def write(tmp_path) -> Callable[[tuple[str, bytes]], Path]:
    """Write a built distribution into the test's `dist` folder."""

    def keep(built: tuple[str, bytes]) -> Path:
        path = tmp_path / "dist" / built[0]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(built[1])
        return path

    return keep
