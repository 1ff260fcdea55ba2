"""Limits through faults: killed workers, clients that go away, and a Redis that dies, hangs, restarts and forgets."""

import contextlib
import os
import signal
import socket
import threading
import time
from base64 import b64encode
from collections import Counter

import httpx
import pytest

from tests.support.distributions import form, wheel
from tests.support.live import LiveServer
from tests.support.load import Load
from tests.support.servers import RedisServer

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
SIZE = 8 << 20
ADMITTED = 400  # a minute, of pages
PLANS = """prune = true
[plans.members]
assign = ["users"]
[plans.members.limits]
{limits}
[plans.guards]
assign = ["everyone"]
[plans.guards.limits]
guesses = {{rate = "1000/minute", scopes = ["login"], closed = true}}
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """A Redis for this module's server alone: the tests take it away."""
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory, redis):
    """Two processes on that Redis, and a file of eight megabytes that no socket buffer swallows whole."""
    urls = {"REDIS_URL": redis.url, "CACHE_URL": f"{redis.url}/1", "CELERY_BROKER_URL": f"{redis.url}/0"}
    options = ("--keep-alive", "65")
    with LiveServer(tmp_path_factory.mktemp("live"), workers=2, more=urls, options=options) as live:
        members = {"acme/__init__.py": b"", "acme/noise.bin": os.urandom(SIZE)}
        filename, content = wheel(files=members)
        data, files = form(filename, content), {"content": (filename, content)}
        assert httpx.post(f"{live.url}/legacy/", data=data, files=files, auth=live.auth, timeout=60).status_code == 200
        page = httpx.get(f"{live.url}/simple/acme/", headers=JSON, auth=live.auth, timeout=30)
        live.file = page.json()["files"][0]["url"]
        yield live


@pytest.fixture
def limits(server, tmp_path):
    """Set the limits of everybody who signs in, as lines of TOML."""

    def apply(lines: str) -> None:
        path = tmp_path / "plans.toml"
        path.write_text(PLANS.format(limits=lines))
        done = server.manage("limits", "apply", str(path))
        assert done.returncode == 0, done.stderr
        assert server.manage("limits", "clear", "user:1").returncode == 0
        time.sleep(2)  # a plan is in force everywhere within two seconds

    return apply


@pytest.fixture
def file(server) -> str:
    """The path of the file."""
    return server.file


def usage(server) -> dict[str, int]:
    answer = httpx.get(f"{server.url}/api/v1/usage/", auth=server.auth, timeout=30)
    return {row["name"]: row["used"] for row in answer.json()["limits"]}


@contextlib.contextmanager
def half_a_download(server, path: str):
    """A connection that has read the beginning of a file and reads no further."""
    secret = b64encode(":".join(server.auth).encode()).decode()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {secret}\r\n\r\n".encode())
        assert sock.recv(12) == b"HTTP/1.1 200"
        yield sock


def until(true, seconds: float) -> float:
    """Seconds until it is true."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds
        time.sleep(0.1)
    return time.monotonic() - begun


def path_of(file: str) -> str:
    return "/" + file.split("://", 1)[-1].split("/", 1)[-1] if "://" in file else file


@pytest.mark.parametrize("beside", ["", 'at-once = {rate = "2 concurrent", scopes = ["download"]}'])
def test_a_client_that_goes_away_is_given_back_what_was_not_sent(server, limits, file, beside):
    """The lease ends at once, and of the bytes only those stay charged that went out: by sendfile, and by our pace."""
    limits(f'{beside}\nbytes = {{rate = "100MB/day calendar", scopes = ["download"]}}')

    with half_a_download(server, path_of(file)):
        until(lambda: usage(server)["bytes"] > SIZE, 5)
        assert usage(server).get("at-once", 1) == 1

    until(lambda: usage(server)["bytes"] < SIZE, 5)
    assert usage(server).get("at-once", 0) == 0
    assert 0 < usage(server)["bytes"] < SIZE


def test_a_worker_killed_in_the_middle_of_downloads_leaks_no_lease(server, limits, file):
    """kill -9 of what sends two of two: both leases end within their life, a minute, and the next is admitted.

    The life is that of the limit `concurrent`; the store's clock is moved by shortening what is left of it.
    """
    limits('at-once = {rate = "2 concurrent", scopes = ["download"]}')

    with half_a_download(server, path_of(file)), half_a_download(server, path_of(file)):
        until(lambda: usage(server)["at-once"] == 2, 5)
        assert httpx.get(server.url + path_of(file), auth=server.auth, timeout=30).status_code == 429
        for pid in server.worker_pids():
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
    until(lambda: alive(server), 20)

    assert usage(server)["at-once"] == 2
    left = shorten_leases(server, seconds=1)
    assert all(0 < seconds <= 60 for seconds in left)
    until(lambda: usage(server)["at-once"] == 0, 5)
    assert httpx.get(server.url + path_of(file), auth=server.auth, timeout=30).status_code == 200


def alive(server) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{server.url}/livez", timeout=5).status_code == 200
    return False


def shorten_leases(server, seconds: int) -> list[float]:
    """Let every lease end so soon, as if the rest of its life had passed; what was left of each."""
    import redis as library

    with library.Redis.from_url(server.more["CACHE_URL"]) as client:
        now = client.time()
        at = now[0] * 1_000_000 + now[1]
        (key,) = client.keys("rl:*:n*")
        held = client.zrange(key, 0, -1, withscores=True)
        client.zadd(key, {name: at + seconds * 1_000_000 for name, _ in held})
        return [(score - at) / 1_000_000 for _, score in held]


@pytest.mark.parametrize("streams", [1, 2, 8])
def test_parallel_downloads_of_a_user_share_one_pace(server, limits, file, streams):
    """1, 2 and 8 streams over both processes: together they get the cap, loosely within a quarter."""
    cap, seconds, got = 2_000_000, 3.0, []
    limits(f'pace = {{rate = "{cap}B/s burst=65536", scopes = ["bandwidth"]}}')

    def download() -> None:
        with httpx.stream("GET", server.url + path_of(file), auth=server.auth, timeout=30) as answer:
            for chunk in answer.iter_raw():
                if time.monotonic() > end:
                    return
                got.append(len(chunk))

    end = time.monotonic() + seconds
    threads = [threading.Thread(target=download) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sum(got) == pytest.approx(cap * seconds, rel=0.25)


def restart(redis: RedisServer) -> None:
    if redis.process is not None:
        redis.process.kill()
        redis.process.wait(10)
    time.sleep(2)
    redis.start()


def pause(redis: RedisServer) -> None:
    redis.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(2)
    finally:
        redis.process.send_signal(signal.SIGCONT)


def flush(redis: RedisServer) -> None:
    import redis as library

    with library.Redis.from_url(redis.url) as client:
        client.flushall()
    time.sleep(1)


@pytest.mark.parametrize("fault", [restart, pause, flush])
def test_redis_in_trouble_under_load(server, redis, limits, file, fault):
    """Killed and started again, stopped and continued, emptied: every answer is an answer, in bounded time."""
    limits('much = {rate = "100000/day calendar", scopes = ["index", "download"]}')

    with Load(server, path_of(file)) as load:
        time.sleep(1)
        fault(redis)
        healed = until(lambda: decided(redis) > 10, 15)

    seconds = sorted(load.seconds)
    assert not [status for status in load.statuses if status >= 500], load.statuses
    assert set(load.statuses) <= {200, 206}
    assert len(seconds) > 100
    assert seconds[len(seconds) * 99 // 100] < 2
    assert seconds[-1] < 6
    assert healed < 5


def decided(redis: RedisServer) -> int:
    """How many scripts ran in a tenth of a second."""
    import redis as library

    with library.Redis.from_url(redis.url) as client:
        counts = []
        for _ in range(2):
            counts.append(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))
            time.sleep(0.1)
        return counts[1] - counts[0]


def test_without_redis_each_process_admits_its_share_and_guards_stay_closed(server, redis, limits):
    """Of 60 an hour two processes admit at most 60 together; a wrong password is told 429, a right one not."""
    limits('few = {rate = "60/hour fixed", scopes = ["index"]}')
    redis.process.kill()
    redis.process.wait(10)
    try:
        with httpx.Client(auth=server.auth, timeout=15) as client:
            statuses = Counter(client.get(f"{server.url}/simple/acme/").status_code for _ in range(30))
            for _ in range(10):  # connections of their own find the other process too
                statuses[httpx.get(f"{server.url}/simple/acme/", auth=server.auth, timeout=15).status_code] += 1
            with contextlib.ExitStack() as stack:
                crowd = [stack.enter_context(httpx.Client(auth=server.auth, timeout=15)) for _ in range(8)]
                for _ in range(10):
                    for one in crowd:
                        statuses[one.get(f"{server.url}/simple/acme/").status_code] += 1
        guess = httpx.get(f"{server.url}/simple/acme/", auth=("root", "wrong"), timeout=15).status_code
    finally:
        redis.start()

    assert set(statuses) == {200, 429}
    assert 30 <= statuses[200] <= 60
    assert guess == 429
    until(lambda: httpx.get(f"{server.url}/simple/acme/", auth=("root", "wrong"), timeout=15).status_code == 401, 10)
