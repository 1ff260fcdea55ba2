"""Exactness under many processes whose clocks disagree, with DRF's throttle as the control that must fail."""

import random
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from django.conf import settings

from tests.throttling.hammer import STEADY_SECONDS
from tests.throttling.stores import redis_client

PROCESSES, ATTEMPTS, LIMIT = 8, 60, 100
THOUSANDS, RATE, BURST = 1_000, 500, 100  # as tests.throttling.hammer.STEADY says


def admitted(kind, seed):
    """How many calls were admitted in all."""
    return sum(int(text) for text in loose(kind, seed, ATTEMPTS))


def loose(kind, seed, attempts):
    """Let the processes loose on one fresh key at the same moment; what each of them prints."""
    dice, key, client = random.Random(seed), uuid.uuid4().hex, redis_client()
    command = [sys.executable, "-W", "error", "-m", "tests.throttling.hammer", kind]
    command += [settings.CACHES["default"]["LOCATION"], key, str(attempts)]
    skews = [dice.uniform(-5, 5) if kind != "drf" else 0 for _ in range(PROCESSES)]
    root = Path(__file__).parents[2]
    running = [subprocess.Popen([*command, str(skew)], stdout=subprocess.PIPE, text=True, cwd=root) for skew in skews]
    try:
        end = time.monotonic() + 60
        while client.llen(f"ready:{key}") < PROCESSES:
            assert time.monotonic() < end, "the processes did not start"
            time.sleep(0.01)
        client.rpush(f"go:{key}", *range(PROCESSES))
        return [process.communicate(timeout=60)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
            process.stdout.close()


def test_eight_processes_admit_exactly_the_burst():
    """8 processes x 60 attempts on one key of 100 an hour, clocks up to 5 s apart: exactly 100."""
    assert admitted("ours", seed=1) == LIMIT


def keeps_its_rate(seed):
    """Admitted is at most burst + elapsed / T by the server's clock, and reaches it within 1 %."""
    counts, first, last = zip(*(map(int, text.split()) for text in loose("steady", seed, THOUSANDS)), strict=True)
    most, least = (BURST + (end - min(first)) / 1_000_000 * RATE for end in (max(last), min(last)))
    # Until the first process ends somebody always asks; afterwards the last may pause before its last call.
    assert 0.99 * least <= sum(counts) <= most
    assert least > 0.9 * RATE * STEADY_SECONDS


def test_eight_processes_reach_the_rate_and_never_exceed_it():
    """8 processes x 1,000 attempts and more while the bucket refills, clocks up to 5 s apart."""
    keeps_its_rate(seed=1)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_eight_processes_reach_the_rate_and_never_exceed_it_fifty_times():
    """The full form: fifty repeats, each with other clocks."""
    for seed in range(50):
        keeps_its_rate(seed)


def test_drfs_throttle_fails_the_same_test():
    """The control: the test can tell a throttle that is not atomic."""
    assert any(admitted("drf", seed) > LIMIT for seed in range(3))


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_eight_processes_admit_exactly_the_burst_fifty_times():
    """The full form: fifty repeats, each with other clocks."""
    assert [admitted("ours", seed) for seed in range(50)] == [LIMIT] * 50
