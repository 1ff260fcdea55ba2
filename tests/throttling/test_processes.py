"""What holds between processes: edits, forks, and answers that come too late."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings

from tests.standalone.servers import Redis
from throttling.lines import Verb, line_for
from throttling.rates import Limit, parse
from throttling.stores import clients
from throttling.stores.base import StoreError
from throttling.stores.redis import RedisStore

ROOT = Path(__file__).parents[2]
EDIT = '[plans.team]\nassign = ["user:2"]\nlimits.burst = "{rate}"\n'


def test_an_edit_holds_in_every_process_within_two_seconds(tmp_path):
    """Two running workers, and a third process that applies a file: both refuse soon after, with no restart."""
    location = django_settings.CACHES["default"]["LOCATION"]
    environment = {
        **os.environ,
        "STANDALONE_DB": str(tmp_path / "db.sqlite3"),
        "STANDALONE_REDIS": location.rpartition("/")[0],
        "DJANGO_SETTINGS_MODULE": "tests.standalone.throttling_settings",
        "PYTHONPATH": str(ROOT),
    }

    def run(*words, **more):
        subprocess.run(
            [sys.executable, "-m", "django", *words], env=environment, cwd=ROOT, check=True, timeout=60,
            stdout=subprocess.DEVNULL, text=True, **more,
        )  # fmt: skip

    run("migrate", "-v0")
    run("limits", "apply", "-", input=EDIT.format(rate="100000/second"))
    command = [sys.executable, "-m", "tests.throttling.worker", "20"]
    workers = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        assert [worker.stdout.readline() for worker in workers] == ["allowed\n"] * 2
        run("limits", "apply", "-", input=EDIT.format(rate="1/day"))
        start = time.monotonic()
        delays = [_until_refused(worker, start) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(10)
            worker.stdout.close()
    assert max(delays) < 2


def _until_refused(worker, start):
    for line in worker.stdout:
        if line == "refused\n":
            return time.monotonic() - start
    raise AssertionError("it never refused")


@pytest.fixture
def server():
    made = Redis().start()
    yield made
    made.close()


def make(server):
    raw = redis.Redis(port=server.port)
    client = clients.impatient(raw, 0.05)
    raw.close()
    return RedisStore(lambda: client)


def line(subject, text="100/hour"):
    return line_for(Limit("x", parse(text)), subject, 1)


def test_an_answer_that_comes_too_late_is_nobodys(server):
    """After a time-out the connection is given up: the next decision reads its own answer."""
    store = make(server)
    for _ in range(5):
        store.decide(Verb.TAKE, [line("user:1", "100/hour fixed")])
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("CLIENT", "PAUSE", 200)
    with pytest.raises(StoreError):
        store.decide(Verb.TAKE, [line("user:1", "100/hour fixed")])
    time.sleep(0.3)
    assert store.decide(Verb.TAKE, [line("user:2", "100/hour fixed")]).outcomes[0].level == 1
    store.close()


def test_threads_do_not_share_a_connection(server):
    """Eight threads at once: every decision counts once, every answer belongs to its question."""
    store, levels = make(server), []

    def work():
        levels.extend(store.decide(Verb.TAKE, [line("user:1", "9999/hour fixed")]).outcomes[0].level for _ in range(50))
        store._wire.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    store.close()
    assert sorted(levels) == list(range(1, 401))


def test_a_forked_child_has_a_connection_of_its_own(server):
    """As gunicorn forks after loading: parent and child ask at once and neither reads the other's answer."""
    store = make(server)
    store.decide(Verb.TAKE, [line("user:p", "9999/hour fixed")])
    child = os.fork()
    if child == 0:
        found = [store.decide(Verb.TAKE, [line("user:c", "9999/hour fixed")]).outcomes[0].level for _ in range(200)]
        os._exit(0 if found == list(range(1, 201)) else 1)
    own = [store.decide(Verb.TAKE, [line("user:p", "9999/hour fixed")]).outcomes[0].level for _ in range(200)]
    _, status = os.waitpid(child, 0)
    store.close()
    assert own == list(range(2, 202))
    assert os.waitstatus_to_exitcode(status) == 0
