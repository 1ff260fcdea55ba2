"""A client that asks again right after a redirect: its copy is read again."""

import pytest

from balancing import picker, shared
from balancing.models import Replica
from balancing.replication import requests, scrubbing, transfer
from tests.balancing.conftest import add

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asked(monkeypatch):
    """The tasks that are sent."""
    sent = []
    monkeypatch.setattr(requests, "send", lambda *words, **_: sent.append(words) or True)
    return sent


def test_second_request_has_the_copy_read_again_once_a_minute(asked):
    """However often a client repeats itself, one task a minute is sent for a copy."""
    add("a")
    add("b")
    digest = "ab" * 32
    for _ in range(5):
        picker.order(digest, frozenset({"a", "b"}), key="somebody")

    names = {node for _, _, node in asked}
    assert names <= {"a", "b"}
    assert 1 <= len(asked) <= 2
    assert all(task == "balancing.check" and told == digest for task, told, _ in asked)


def test_without_the_store_nothing_is_sent(asked, monkeypatch):
    """A doubt is no reason to flood the broker."""
    monkeypatch.setattr(shared, "ask", lambda _, otherwise: otherwise)

    requests.doubt(node="a", digest="ab" * 32)

    assert asked == []


def test_damaged_copy_is_found_and_made_anew(nodes, source):
    """The check finds other bytes and the copy is offered no more; what is whole, or not there, is no finding."""
    digest = source.add(b"a wheel" * 1000)
    requests.wanted([digest])
    assert {transfer.copy(digest, node.name) for node in nodes} == {"verified"}
    path = nodes[0].path(digest)
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)

    assert scrubbing.check(digest, nodes[0].name) is False
    assert scrubbing.check(digest, nodes[1].name) is True
    assert scrubbing.check("00" * 32, nodes[0].name) is True
    assert Replica.objects.get(digest=digest, node_id=nodes[0].name).state == "corrupt"
