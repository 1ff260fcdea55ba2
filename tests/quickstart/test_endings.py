"""However `up` ends, nothing of it is left and the next start goes on with the same data."""

import json
import signal
import time

import pytest

from tests.quickstart.service import Service

GONE_SECONDS = 10


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "data"


def test_ctrl_c_ends_everything_and_the_next_start_keeps_all(directory):
    """After SIGINT no process is left; a start on another port keeps the secrets, shows none and follows its URL."""
    with Service(directory) as first:
        first.wait_ready()
        assert first.stop(signal.SIGINT) == 130
        assert "Traceback" not in first.log
        assert first.log.index("worker stopped") < first.log.index("redis stopped")
        assert first.is_gone(1)
    before = json.loads((directory / "credentials.json").read_text())
    environment = (directory / "pkgindex.env").read_text()

    with Service(directory) as second:
        second.wait_ready()
        after = json.loads((directory / "credentials.json").read_text())

        assert after == before | {"url": second.url}
        assert (directory / "pkgindex.env").read_text() == environment
        assert before["token"] not in second.log
        assert before["password"] not in second.log
        assert str(directory / "credentials.json") in second.log
        assert second.stop(signal.SIGTERM) == 143
        assert second.is_gone(1)


def test_killed_supervisor_leaves_nothing_and_the_next_start_waits(directory):
    """SIGKILL runs no handler, yet every part ends; a start in the same moment waits for that and then works."""
    with Service(directory) as first:
        first.wait_ready()
        parts = [first.part("gunicorn"), first.part("worker"), first.part("beat")]
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        with Service(directory, port=first.port) as second:
            second.wait_ready()
            assert not any(part.is_running() for part in parts)
            assert second.stop(signal.SIGKILL) == -signal.SIGKILL
            assert second.is_gone(GONE_SECONDS)


@pytest.mark.parametrize("victim", ["part", "guard"])
def test_one_part_that_ends_ends_all(directory, victim):
    """A part or its guard killed from outside takes the rest with it, and the exit code tells."""
    with Service(directory, "--no-worker") as service:
        service.wait_ready()
        getattr(service, victim)("gunicorn").kill()

        assert service.process.wait(20) not in {0, 130, 143}
        assert service.is_gone(GONE_SECONDS)


@pytest.mark.parametrize("delay", [0.4, 1.8, 2.6])
def test_interrupted_start_leaves_nothing(directory, delay):
    """A signal at any moment of starting ends it, without a traceback and without processes."""
    with Service(directory, "--no-worker") as service:
        time.sleep(delay)
        assert service.stop(signal.SIGTERM) in {143, -signal.SIGTERM}
        assert service.is_gone(GONE_SECONDS)
        assert "Traceback" not in service.log
