"""The soak runs, reports, and leaves nothing behind: it is a tool that people start and walk away from."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.servers import ended_environment

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "benchmarks.soak", "--clients", "3", "--projects", "10", "--files", "60")


def started(*more):
    return subprocess.Popen(
        [*COMMAND, *more],
        cwd=ROOT, env=ended_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def is_gunicorn(process):
    with suppress(psutil.Error):  # the commands that prepare the data come and go meanwhile
        return "gunicorn" in " ".join(process.cmdline())
    return False


def family(process):
    """The processes below it, once the servers are there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = psutil.Process(process.pid).children(recursive=True)
        if sum(is_gunicorn(each) for each in found) >= 3:
            return found
        time.sleep(0.1)
    raise AssertionError("the servers never started")


def test_a_short_run_reports_and_ends_its_servers(tmp_path):
    """Every kind of work is answered as it should be, each process has its samples, and none is left."""
    with started("--minutes", "0.1", "--json", str(tmp_path / "soak.json")) as soak:
        said, progress = soak.communicate(timeout=240)

    assert soak.returncode == 0, said + progress
    found = json.loads((tmp_path / "soak.json").read_text())
    assert found["wrong"] == []
    assert found["judged"] is False
    assert set(found["processes"]) == {"master", "worker 1", "worker 2", "redis"}
    assert set(found["samples"]) == {*found["processes"], "together"}
    assert {"200", "206", "304", "401", "404"} <= set(found["answers"])
    assert {"page", "upload", "download"} <= set(found["work"])
    assert "growth is not judged" in said
    assert not [pid for pid in found["processes"].values() if psutil.pid_exists(pid)]


def test_control_c_ends_clients_and_servers():
    """An interrupted run says so in one sentence, and nothing of it goes on."""
    with started("--minutes", "5") as soak:
        try:
            below = family(soak)
            time.sleep(1)  # the load has begun
            soak.send_signal(signal.SIGINT)
            said, progress = soak.communicate(timeout=60)
        finally:
            soak.kill()

    assert soak.returncode == 130, said + progress
    assert "interrupted" in progress
    assert "Traceback" not in progress
    assert psutil.wait_procs(below, 5)[1] == []


@pytest.mark.parametrize("words", [("--minutes", "0"), ("--minutes", "nan"), ("--minutes", "x"), ("--clients", "0")])
def test_wrong_words_are_refused_at_once(words):
    """Nothing is started for a run that cannot be."""
    done = subprocess.run(
        [*COMMAND, *words], cwd=ROOT, env=ended_environment(), capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert words[0] in done.stderr


def test_help_teaches():
    """Whoever asks learns what is measured, when it fails, and examples."""
    done = subprocess.run([*COMMAND, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert "--minutes 480" in done.stdout
    assert "grew by more than 5 % and 5 MiB" in done.stdout
