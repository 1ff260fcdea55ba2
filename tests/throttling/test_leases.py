"""Concurrency that a killed worker cannot leak, and bandwidth over all of a caller's downloads."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from throttling import bandwidth, leases, take, usage
from throttling.lines import Costs
from throttling.subjects import Caller

BOB = Caller(user="2", address="192.0.2.2")


def test_at_most_so_many_at_once(plan):
    """The third of two is refused until one ends."""
    plan("user:2", at_once="2 concurrent")
    with leases.hold(BOB, "get") as one, leases.hold(BOB, "get") as two:
        assert (one.allowed, two.allowed, leases.live(two)) == (True, True, 2)
        with leases.hold(BOB, "get") as three:
            assert not three.allowed
    with leases.hold(BOB, "get") as four:
        assert four.allowed


def test_the_end_of_a_refused_request_frees_nobodys_lease(plan):
    """Only what was taken is given back."""
    plan("user:2", at_once="1 concurrent")
    with leases.hold(BOB, "get"):
        for _ in range(3):
            with leases.hold(BOB, "get") as refused:
                assert not refused.allowed


@pytest.mark.parametrize("end", ["finished", "closed", "failed"])
def test_a_stream_gives_its_lease_back_however_it_ends(plan, end):
    """To the last byte, abandoned by the client, or by an error of the source."""

    def source():
        yield b"a"
        if end == "failed":
            raise OSError("disk")
        yield b"b"

    plan("user:2", at_once="1 concurrent")
    stream = leases.renewing(source(), take.take(BOB, "get", Costs(lease=leases.new())))
    assert next(stream) == b"a"
    assert usage.of_caller(BOB)[0].used == 1
    if end == "finished":
        list(stream)
    elif end == "closed":
        stream.close()
    else:
        with pytest.raises(OSError, match="disk"):
            list(stream)
    assert usage.of_caller(BOB)[0].used == 0


def test_a_lease_is_renewed_while_bytes_flow(plan, monkeypatch):
    """Longer than its life, as long as somebody reads."""
    monkeypatch.setattr("throttling.rates.LEASE_LIFE", 400_000)
    plan("user:2", at_once="1 concurrent")
    stream = leases.renewing(iter([b"x"] * 12), take.take(BOB, "get", Costs(lease=leases.new())))
    for _ in stream:
        time.sleep(0.08)
        assert not take.take(BOB, "get", Costs(lease=leases.new())).allowed


WORKER = """
import sys, time, redis
from throttling.lines import Verb, line_for
from throttling.rates import Limit, Rate, Strategy, Unit
from throttling.stores.redis import RedisStore
client = redis.Redis.from_url(sys.argv[1])
limit = Limit("c", Rate(1, 700_000, Unit.CONCURRENT, Strategy.LEASES))
line = line_for(limit, "user:2", 1, lease=sys.argv[2])
print(RedisStore(lambda: client).decide(Verb.TAKE, [line]).refused_by, flush=True)
time.sleep(60)
"""


def worker(name):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, django_settings.CACHES["default"]["LOCATION"], name],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def test_a_killed_worker_leaks_nothing():
    """kill -9 while it holds the only lease: free again within the lease's life."""
    first = worker("one")
    try:
        assert first.stdout.readline() == "0\n"
    finally:
        first.kill()
        first.wait(10)
        first.stdout.close()
    time.sleep(0.75)
    second = worker("two")
    try:
        assert second.stdout.readline() == "0\n"
    finally:
        second.kill()
        second.wait(10)
        second.stdout.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("streams", [1, 2, 8])
def test_parallel_downloads_share_one_pace(plan, streams):
    """1, 2 and 8 streams of one user: their sum is within 10 % of the cap."""
    plan("user:2", pace={"rate": "4MB/s burst=65536", "scopes": "bandwidth"})
    seconds, total = 1.5, []

    def download():
        got = 0
        for part in bandwidth.shaped(iter([b"x" * (256 << 10)] * 1_000), BOB):
            if time.monotonic() > end:
                break
            got += len(part)
        total.append(got)

    bandwidth.limits_of(BOB)  # the plans are read here, not in the threads
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=download) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(total) == pytest.approx(4_000_000 * seconds, rel=0.1)


def test_without_a_limit_bytes_flow_as_they_come(db):
    """No store call per piece."""
    chunks = [b"x" * 1_000_000]
    assert list(bandwidth.shaped(chunks, BOB)) == chunks


def test_all_bytes_arrive_in_order(plan):
    """Shaping cuts chunks and loses none."""
    plan("user:2", pace={"rate": "50MB/s", "scopes": "bandwidth"})
    chunks = [bytes([i]) * 100_000 for i in range(20)]
    assert b"".join(bandwidth.shaped(chunks, BOB)) == b"".join(chunks)


def test_accel_divides_the_pace_by_live_leases(plan):
    """X-Accel-Limit-Rate: 1, 2, 4 downloads of one user."""
    plan("user:2", pace={"rate": "4MB/s", "scopes": "bandwidth"}, at_once="9 concurrent")
    held = [take.take(BOB, "get", Costs(lease=leases.new())) for _ in range(4)]
    assert [bandwidth.accel_rate(BOB, decision) for decision in held] == [4_000_000, 2_000_000, 1_333_333, 1_000_000]
    bandwidth.lease_for_accel(held[0], 8_000_000_000, 4_000_000)
    primary = usage.of_caller(BOB)
    assert next(row for row in primary if row.name == "at-once").used == 4
    assert bandwidth.accel_rate(Caller(user="3"), held[0]) is None


def test_no_piece_waits_for_ever(plan, monkeypatch):
    """Bounded: a pace of a byte a second lets a piece go in the end, with a line in the log."""
    plan("user:2", pace={"rate": "1B/hour burst=10", "scopes": "bandwidth"})
    slept = []
    monkeypatch.setattr(bandwidth, "MOST_STALL", 0)
    assert b"".join(bandwidth.shaped([b"x" * 25], BOB, sleep=slept.append)) == b"x" * 25
    assert len(slept) == 3
