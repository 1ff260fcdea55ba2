"""Limits in a Redis of their own: counted there, and its loss costs no page."""

import httpx
import pytest
import redis

from tests.support.live import LiveServer
from tests.support.servers import RedisServer

PLAN = """
prune = true
[plans.p]
assign = ["users"]
[plans.p.limits]
pages = {rate = "4/hour", scopes = ["index"]}
"""


@pytest.fixture
def own_redis(tmp_path):
    """Another Redis than the cache's."""
    server = RedisServer(tmp_path / "limits-redis").start()
    yield server
    server.stop()


def test_limits_are_counted_in_a_redis_of_their_own(tmp_path, own_redis):
    """LIMITS_REDIS_URL holds every counter, the cache none; while it is away pages are served and `/readyz` says so."""
    with LiveServer(tmp_path / "data", more={"LIMITS_REDIS_URL": f"{own_redis.url}/0"}) as server:
        (tmp_path / "plans.toml").write_text(PLAN)
        assert server.manage("limits", "apply", str(tmp_path / "plans.toml")).returncode == 0

        def ask(path: str = "/simple/") -> httpx.Response:
            return httpx.get(server.url + path, auth=server.auth, timeout=20, trust_env=False)

        assert [ask().status_code for _ in range(5)] == [200] * 4 + [429]
        with redis.Redis.from_url(f"{own_redis.url}/0") as held:
            assert held.dbsize() > 0
        with redis.Redis.from_url(server.environment["CACHE_URL"]) as cache:
            assert not [key for key in cache.keys("*") if b"user:" in key and b"{" in key]

        own_redis.stop()
        answers = [ask() for _ in range(3)]
        assert {answer.status_code for answer in answers} <= {200, 429}
        assert answers[0].status_code == 200  # this process's share of the limit, counted from nothing
        ready = ask("/readyz?exclude=worker&exclude=beat")
        assert (ready.status_code, ready.json()["parts"]["limits"]["status"]) == (200, "degraded")
