"""`manage.py mirrors`."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from balancing.models import Change, Node, Replica
from balancing.replication import queries, requests, transfer
from tests.balancing.replication.world import Worker, environment, free_port
from tests.standalone.servers import Redis

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]
MANAGE = """
import sys
import tests.balancing.celery_app
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
DATA = random.Random(3).randbytes(50_000)


def mirrors(capsys, *words):
    call_command("mirrors", *words)
    return capsys.readouterr().out


@pytest.fixture
def copied(nodes, source):
    digests = [source.add(DATA[n:]) for n in range(3)]
    requests.wanted(digests)
    for digest in digests:
        for node in ("n1", "n2"):
            assert transfer.copy(digest, node) == "verified"
    return digests


def test_add_is_idempotent_and_changes_what_is_given(db, capsys):
    """The second time nothing differs; later only the values that are named."""
    add = ("add", "eu-1", "http://127.0.0.1:1", "--zone", "eu", "--weight", "2")
    assert "added" in mirrors(capsys, *add)
    assert "there already" in mirrors(capsys, *add)
    assert "changed" in mirrors(capsys, "add", "eu-1", "http://127.0.0.1:2", "--capacity", "1000")
    node = Node.objects.get()
    assert (node.url, node.zone, node.weight, node.capacity) == ("http://127.0.0.1:2", "eu", 2.0, 1000)
    assert set(Change.objects.values_list("actor", flat=True)) == {"command line"}
    assert "added" in mirrors(capsys, "add", "s3", "https://s3.example.org", "--bucket", "py", "--region", "r")
    assert Node.objects.get(name="s3").kind == "bucket"


def test_drain_activate_remove(nodes, capsys):
    """Each can be repeated; a node that is gone is named."""
    for _ in range(2):
        mirrors(capsys, "drain", "n1")
        assert Node.objects.get(name="n1").state == "draining"
    mirrors(capsys, "activate", "n1")
    assert Node.objects.get(name="n1").state == "active"
    mirrors(capsys, "remove", "n1")
    assert not Node.objects.filter(name="n1").exists()
    with pytest.raises(CommandError, match=r"There is no node n1; there are: n2\.") as caught:
        mirrors(capsys, "remove", "n1")
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("add", "UPPER", "http://127.0.0.1:1"), "Lower-case"),
        (("add", "n9", "ftp://127.0.0.1"), "http"),
        (("add", "n9", "http://127.0.0.1:1", "--weight", "-1"), "greater"),
        (("verify", "nobody"), "no node nobody"),
        (("sync", "nobody"), "no node nobody"),
        (("drain", "nobody"), "no node nobody"),
    ],
)
def test_wrong_words_are_one_sentence_and_status_two(db, capsys, words, part):
    """What is wrong, without a traceback."""
    with pytest.raises(CommandError, match=part) as caught:
        mirrors(capsys, *words)
    assert caught.value.returncode == 2


def test_status_for_people_and_programs(copied, nodes, capsys):
    """The same numbers."""
    Replica.objects.filter(digest=copied[0], node_id="n1").update(state="failed", last_error="The node has no room.")
    text = mirrors(capsys, "status")
    assert "n1" in text
    assert "The node has no room." in text
    found = json.loads(mirrors(capsys, "status", "--json"))
    n1, n2 = found["nodes"]
    assert (n1["copies"]["verified"], n1["copies"]["failed"], n2["copies"]["verified"]) == (2, 1, 3)


def test_status_shows_progress(nodes, source, capsys):
    """Transfers under way with the bytes sent so far."""
    from balancing.replication import rows, taking

    digest = source.add(DATA)
    requests.wanted([digest])
    rows.renew(taking.take(digest, "n1"), 1_500)
    assert f"{digest[:12]} to n1: 1.5 kB of 50.0 kB" in mirrors(capsys, "status")


def test_status_without_nodes_says_what_to_do(db, capsys):
    """The first thing that a new operator sees."""
    assert "mirrors add NAME URL" in mirrors(capsys, "status")


def test_verify_finds_damage(copied, nodes, capsys):
    """Exit status 1 and a sentence; the damaged copy is already due."""
    assert "Every copy is whole." in mirrors(capsys, "verify")
    nodes[0].path(copied[1]).write_bytes(b"<html>")
    with pytest.raises(CommandError, match="1 copies were damaged") as caught:
        mirrors(capsys, "verify", "n1")
    assert caught.value.returncode == 1
    assert Replica.objects.get(digest=copied[1], node_id="n1").state == "corrupt"


def test_verify_of_a_node_that_is_down(copied, nodes, capsys):
    """It is not called whole."""
    nodes[0].kill()
    with pytest.raises(CommandError, match="n1: "):
        mirrors(capsys, "verify")


def test_sync_without_waiting(nodes, capsys, broker):
    """The workers are told, or the sentence says that they are not."""
    assert "told" in mirrors(capsys, "sync", "--no-wait")
    broker.conf.broker_url = f"redis://127.0.0.1:{free_port()}/0"
    with pytest.raises(CommandError, match="broker"):
        mirrors(capsys, "sync", "n1", "--no-wait")


def test_sync_without_workers_ends_with_a_sentence(nodes, source, capsys, monkeypatch):
    """It does not wait for ever."""
    from balancing.management.commands import mirrors as command

    monkeypatch.setattr(command, "PATIENCE", 1.0)
    source.add(DATA)
    with pytest.raises(CommandError, match="is a worker running"):
        mirrors(capsys, "sync")


def test_sync_brings_everything_where_it_belongs(tmp_path, shared_database, nodes, source, broker, capsys):
    """Missing, damaged and strange files, with a real worker; the command is a process of its own."""
    queue = Redis().start()
    broker.conf.broker_url = f"{queue.url}/0"
    own = environment(source.folder, shared_database, f"{queue.url}/0", os.environ["STANDALONE_REDIS"])
    worker = Worker(own, tmp_path, 0).start()
    try:
        digests = [source.add(DATA[n:]) for n in range(20)]
        stranger = nodes[0].path("f" * 64)
        stranger.parent.mkdir(parents=True)
        stranger.write_bytes(b"stranger")
        command = [sys.executable, "-c", MANAGE, "mirrors", "sync"]
        done = subprocess.run(
            command, env={**os.environ, **own}, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (0, "Every copy is where it belongs.\n"), done.stderr
        for node in nodes:
            assert set(node.files()) == set(digests)
        assert queries.unfinished(["n1", "n2"]) == 0
    finally:
        worker.kill()
        queue.close()


@pytest.mark.parametrize("words", [["--help"], ["add", "--help"]])
def test_help_teaches(words, capsys):
    """With examples and exit statuses."""
    with pytest.raises(SystemExit):
        call_command("mirrors", *words)
    assert ("Exit status" if len(words) == 1 else "capacity") in capsys.readouterr().out
