"""`manage.py mirror_node` as a process: it serves, it ends, and it says clearly what it cannot do."""

import io
import os
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from balancing.backends import NodeError
from balancing.node.client import NodeClient
from balancing.signing import Keyring
from tests.balancing.node.servers import KEY, ROOT, kill, until
from tests.standalone.servers import free_port

DATA = b"a wheel" * 1000
DIGEST = sha256(DATA).hexdigest()
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.standalone.balancing_settings", "PYTHONPATH": str(ROOT)}


def command(*words, keys="", cwd=ROOT, **more):
    environment = {**os.environ, **SETTINGS, "MIRROR_KEYS": keys}
    call = [sys.executable, "-m", "django", "mirror_node", *map(str, words)]
    return subprocess.Popen(
        call, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, **more
    )


def answer(*words):
    """What a command says that ends by itself, and its status."""
    process = command(*words)
    text, _ = process.communicate(timeout=60)
    return process.returncode, text.decode()


def refusal(*words):
    """The sentence with which a command refuses before anything is started."""
    with pytest.raises(CommandError) as caught:
        call_command("mirror_node", *map(str, words))
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "keys", "ring"),
    [
        (["--keys-from-settings"], "", Keyring("k1", {"k1": b"\x11" * 32}, "node-7")),
        ([], f"k9:{KEY.hex()}", Keyring("k9", {"k9": KEY}, "node-7")),
    ],
    ids=["settings", "environment"],
)
def test_serves_and_ends(tmp_path, words, keys, ring):
    """It is a node with the keys that it was given, whatever the folder it starts in, and SIGTERM ends it cleanly."""
    port = free_port()
    where = ["--root", tmp_path / "deep/files", "--port", port, "--id", "node-7"]
    process = command(*where, *words, keys=keys, cwd=tmp_path)
    try:
        client = NodeClient(f"http://127.0.0.1:{port}", ring)

        def answers():
            assert process.poll() is None, process.stdout.read().decode()
            try:
                return client.condition()
            except NodeError:
                return False

        until(answers)
        client.put(DIGEST, len(DATA), io.BytesIO(DATA))
        assert b"".join(client.read(DIGEST)) == DATA
        # The supervisor's child is gunicorn itself, so that a signal to it reaches the node.
        assert b"gunicorn" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.terminate()
        assert process.wait(20) == 0
        with socket.create_server(("127.0.0.1", port)):
            pass
    finally:
        kill(process)
        process.stdout.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--port", "0"], "--port is a number from 1 to 65535; 0 is not."),
        (["--port", "70000"], "--port is a number from 1 to 65535; 70000 is not."),
        (["--port", "http"], "argument --port: invalid int value: 'http'"),
        (["--threads", "0"], "--threads is a number from 1 to 1000; 0 is not."),
        (["--reserve", "-1"], "--reserve is a number from 0 to"),
        (["--id", "Node One"], "--id Node One: Lower-case letters, digits and dashes, at most 40."),
        (["--host", "no.such.host.invalid"], "The node cannot listen on no.such.host.invalid"),
        (["--root", __file__], "is a file and should be a folder."),
        (["--root", f"{__file__}/below"], "cannot be made: Not a directory."),
        (["--accel", "files"], "--accel is a path that begins and ends with a slash"),
    ],
)
def test_nonsense(tmp_path, words, sentence):
    """Each mistake has its sentence."""
    assert sentence in refusal("--root", tmp_path / "files", "--port", free_port(), "--keys-from-settings", *words)


def test_mistake_at_the_command_line(tmp_path):
    """It ends with status 1 and the sentence, without a traceback."""
    status, text = answer("--root", tmp_path, "--port", 0)
    assert (status, text) == (1, "CommandError: --port is a number from 1 to 65535; 0 is not.\n")


@pytest.mark.parametrize("keys", ["", "k1", "k1:zz", "k1:1234", f"k 1:{KEY.hex()}", f"{KEY.hex()},"])
def test_keys_that_are_none(tmp_path, monkeypatch, keys):
    """Without keys there is no node, and a wrong key is not printed."""
    monkeypatch.setenv("MIRROR_KEYS", keys)
    text = refusal("--root", tmp_path, "--port", free_port())
    assert "MIRROR_KEYS" in text
    assert KEY.hex() not in text


def test_settings_without_keys(tmp_path, settings):
    """It says what is missing."""
    settings.BALANCING = {}
    assert "BALANCING has no KEYS" in refusal("--root", tmp_path, "--port", free_port(), "--keys-from-settings")


def test_port_that_is_taken(tmp_path):
    """It is told which."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = refusal("--root", tmp_path, "--port", port, "--keys-from-settings")
    assert text == f"The node cannot listen on 127.0.0.1, port {port}: Address already in use."


def test_help_teaches():
    """What it does, every option, and examples to copy."""
    status, text = answer("--help")
    assert status == 0
    assert "manage.py mirror_node --root /srv/mirror-1 --port 9101 --id node-1 --keys-from-settings" in text
    assert all(option in text for option in ("--root", "--port", "--host", "--id", "--keys-from-settings", "--accel"))
