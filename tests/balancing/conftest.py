"""Fixtures of the balancing tests; nothing here knows the product."""

import time
from dataclasses import replace

import pytest
from django_redis import get_redis_connection

from balancing import conf, picker, picture, services, shared, snapshot, stats
from balancing.models import Health, Node
from balancing.states import NodeState

UP = NodeState(up=True, ever_up=True, next_probe=0.0)


@pytest.fixture(autouse=True)
def _clean():
    """No test sees what another one remembered."""
    get_redis_connection("default").flushdb()
    forget()
    yield
    forget()


def forget():
    """What a process remembers; afterwards it is like another process."""
    conf.get.cache_clear()
    shared.reset()
    snapshot.reset()
    picker.reset()
    stats.reset()


def add(name, *, state=UP, actor="test", **fields):
    """A node in this state of health."""
    services.add(Node(name=name, url=fields.pop("url", f"http://{name}.example.org"), **fields), actor)
    return put(name, state)


def fleet(count, **fields):
    """The names of so many nodes that are up."""
    made = [f"n{number:02}" for number in range(count)]
    for name in made:
        add(name, **fields)
    return frozenset(made)


def put(name, state=UP, **changes):
    """Give a node this state of health."""
    down = None if state.up else time.time()
    Health.objects.filter(pk=name).update(
        state=picture.state_to_json(replace(state, **changes)), **({"down_since": down} if state.up else {})
    )
    snapshot.bump()
    snapshot.publish()
    return Node.objects.get(pk=name)


def state_of(name):
    return picture.state_from_json(Health.objects.get(pk=name).state)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Two real nodes that have two files, for the tests of a module."""
    from tests.balancing.streams import Fleet  # its files are large: made for those who need them

    made = Fleet(tmp_path_factory.mktemp("fleet"))
    yield made
    made.close()


@pytest.fixture
def fleet_of_two(running):
    """Both nodes run and both files are whole."""
    running.repair()
    return running
