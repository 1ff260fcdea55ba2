"""The ports and keys of the quick start's mirror nodes."""

import socket

import pytest

from pkgindex.env import read_file
from pkgindex.quickstart.home import ENV_FILE
from pkgindex.quickstart.mirrors import local_nodes


def test_ports_and_keys_are_remembered(tmp_path):
    """The next start has the same nodes at the same addresses with the same key."""
    first = local_nodes(tmp_path, 3)
    key = read_file(tmp_path / ENV_FILE)["MIRROR_KEYS"]

    assert local_nodes(tmp_path, 3) == first
    assert read_file(tmp_path / ENV_FILE)["MIRROR_KEYS"] == key
    assert len({node.port for node in first}) == 3


def test_taken_port_is_replaced_and_the_others_stay(tmp_path):
    """Somebody took the first node's port: that node moves, the second keeps its address."""
    first, second = local_nodes(tmp_path, 2)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", first.port))
        sock.listen()
        moved, same = local_nodes(tmp_path, 2)

    assert (moved.name, same) == (first.name, second)
    assert moved.port != first.port


@pytest.mark.parametrize("text", ["", "x", "0", "99999,1", "٣", "8000,8000"])
def test_nonsense_is_replaced(tmp_path, monkeypatch, text):
    """Whatever the file says, each node has a port of its own."""
    monkeypatch.delenv("MIRROR_KEYS", raising=False)
    (tmp_path / ENV_FILE).write_text(f"UP_NODE_PORTS={text}\n")

    ports = {node.port for node in local_nodes(tmp_path, 2)}

    assert len(ports) == 2
    assert all(0 < port < 65_536 for port in ports)


def test_no_nodes_write_nothing(tmp_path):
    """Without nodes the data directory is left as it is."""
    assert local_nodes(tmp_path, 0) == ()
    assert not (tmp_path / ENV_FILE).exists()
