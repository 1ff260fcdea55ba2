"""Counting what a request costs."""

from collections.abc import Callable

import pytest
from django_redis import get_redis_connection
from redis.connection import AbstractConnection


@pytest.fixture
def redis_commands() -> Callable[[Callable[[], object]], dict[str, int]]:
    """Run something and get the commands that the Redis server was asked meanwhile, by name."""
    redis = get_redis_connection("default")

    def snapshot() -> dict[str, int]:
        stats = redis.info("commandstats")
        return {name.removeprefix("cmdstat_"): value["calls"] for name, value in stats.items()}

    def count(work: Callable[[], object]) -> dict[str, int]:
        before = snapshot()
        work()
        after = snapshot()
        return {
            name: calls - before.get(name, 0)
            for name, calls in after.items()
            if calls > before.get(name, 0) and not name.startswith(("info", "client", "hello", "auth", "select"))
        }

    return count


@pytest.fixture
def round_trips(monkeypatch) -> Callable[[Callable[[], object]], int]:
    """Run something and get how often it waited for Redis: what is sent as one packet is one round trip."""
    sent: list[object] = []
    send = AbstractConnection.send_packed_command

    def counted(self, command, check_health=True):
        sent.append(command)
        return send(self, command, check_health=check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)

    def count(work: Callable[[], object]) -> int:
        sent.clear()
        work()
        return len(sent)

    return count
