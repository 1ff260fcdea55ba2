"""The page about mirror nodes."""

import pytest

from balancing import health, picker, services, snapshot
from balancing.models import Node

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def nodes():
    """One node that is up, one that never was."""
    for name in ("alpha", "beta"):
        services.add(Node(name=name, url=f"http://{name}.example:8000", zone="east"), actor="test")
    health.probed("alpha", True, 0.01)
    picker.reset()
    snapshot.reset()


def test_page_says_how_each_node_is(client, nodes):
    """Everybody sees names, zones and health, and neither addresses nor errors."""
    text = client.get("/status/").content.decode()

    assert all(word in text for word in ("alpha", "beta", "east", "not up yet"))
    assert "example:8000" not in text


def test_the_same_for_programs(client, nodes):
    """Who asks for JSON gets it."""
    found = client.get("/status/", HTTP_ACCEPT="application/json").json()

    assert {one["name"]: one["healthy"] for one in found["nodes"]} == {"alpha": True, "beta": False}


def test_without_nodes(client):
    """An index without nodes says so."""
    snapshot.reset()

    assert "There are no mirror nodes" in client.get("/status/").content.decode()
    assert client.get("/status").status_code == 301
