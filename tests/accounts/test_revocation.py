"""Two processes: what one revokes, the other refuses within five seconds, with Redis and without."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support import databases, plugin
from tests.support.live import LiveServer

ROOT = Path(__file__).resolve().parents[2]
PROMISE = 5.0  # seconds

WORKER = """
import json, sys
import django
django.setup()
from django.core.management import call_command
from django.test import RequestFactory
from pkgindex.accounts.identity import identify
from pkgindex.accounts.models import Token, User
from pkgindex.accounts.services import issue, revoke
from pkgindex.audit.record import SYSTEM
from pkgindex.errors import ServiceError

def issue_one():
    user, _ = User.objects.get_or_create(username="ann")
    return issue(SYSTEM, None, user, "ci", ["read"])[1]

def who(header):
    try:
        return identify(RequestFactory().get("/", HTTP_AUTHORIZATION=header)).username
    except ServiceError as error:
        return error.sentence

def end(_):
    for token in Token.objects.all():
        revoke(SYSTEM, None, token)

def migrate(_):
    call_command("migrate", verbosity=0)

WORK = {"migrate": migrate, "issue": lambda _: issue_one(), "who": who, "end": end}
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    name, given = json.loads(line)
    print(json.dumps(WORK[name](given)), flush=True)
"""


@dataclass
class Worker:
    """A process of the service with caches of its own."""

    process: "subprocess.Popen[str]"

    def do(self, name: str, given: str = "") -> str:
        self.process.stdin.write(json.dumps([name, given]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def workers(tmp_path):
    environment = os.environ | {
        "PKGINDEX_DATA": str(tmp_path),
        "REDIS_URL": plugin.redis_server.url,
        "DJANGO_SETTINGS_MODULE": "pkgindex.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'two.sqlite3'}",
        "LOG_LEVEL": "ERROR",
    }
    made = [
        Worker(
            subprocess.Popen(
                [sys.executable, "-c", WORKER],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        for _ in range(2)
    ]
    for worker in made:
        assert json.loads(worker.process.stdout.readline()) == "ready"
    made[0].do("migrate")
    yield made
    for worker in made:
        worker.process.stdin.close()
        try:
            worker.process.wait(10)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait(5)
        worker.process.stdout.close()


@pytest.mark.parametrize("redis", ["up", "stopped before", "stopped at the revocation"])
def test_revoked_in_one_process_is_refused_in_the_other(workers, redis_server, redis):
    """The second process, which was just told that the token is good, stops believing it in time."""
    here, there = workers
    if redis == "stopped before":
        redis_server.stop()
    header = f"Bearer {here.do('issue')}"
    assert here.do("who", header) == there.do("who", header) == "ann"
    if redis == "stopped at the revocation":
        redis_server.stop()

    here.do("end")
    revoked = time.monotonic()

    assert "was revoked on" in here.do("who", header)
    while "was revoked on" not in there.do("who", header):
        assert time.monotonic() - revoked < PROMISE
        time.sleep(0.05)


def test_what_is_renewed_is_not_believed_for_longer(tmp_path):
    """Two workers have a token at hand all the time, since it is asked for lately; a row alone says it is revoked."""
    with LiveServer(tmp_path, workers=2) as server, httpx.Client(base_url=server.url, auth=server.auth) as client:

        def status():
            return client.get("/simple/", headers={"Connection": "close"}).status_code  # whichever worker takes it

        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert status() == 200
            time.sleep(0.05)
        with databases.connection(tmp_path) as connection:
            connection.execute("UPDATE accounts_token SET revoked_at = CURRENT_TIMESTAMP")
            connection.commit()
        revoked = time.monotonic()

        while time.monotonic() - revoked < PROMISE:
            status()
            time.sleep(0.05)
        assert {status() for _ in range(20)} == {401}
        assert "could not be renewed" not in server.log
