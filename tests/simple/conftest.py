"""Counting what a request costs."""

from collections.abc import Callable

import pytest
from django_redis import get_redis_connection


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
