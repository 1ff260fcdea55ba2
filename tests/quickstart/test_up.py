"""One running `manage.py up`, looked at from outside."""

import json
import socket
import sqlite3
import subprocess
import sys

import pytest

from pkgindex.accounts.tokens import digest
from tests.quickstart.service import ROOT, Service, clean_environment, mode, processes_of, run_up


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Started once for this file."""
    with Service(tmp_path_factory.mktemp("up") / "data") as started:
        yield started.wait_ready()


@pytest.fixture
def credentials(service):
    return json.loads((service.directory / "credentials.json").read_text())


def test_everything_is_ready(service):
    """`/readyz` names each part that `up` started, each up, with how long the look took."""
    answer = service.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "up"
    assert set(answer.json()["parts"]) == {"database", "redis", "blobs", "worker", "beat", "limits"}
    assert all(part["status"] == "up" and part["latency_ms"] >= 0 for part in answer.json()["parts"].values())


def test_limits_are_there_from_the_start(service):
    """The default plans are in the database of a new installation."""
    with sqlite3.connect(service.directory / "db.sqlite3") as database:
        names = [name for (name,) in database.execute("SELECT name FROM throttling_plan ORDER BY name")]
    database.close()

    assert names == ["guards", "members", "visitors"]


def test_credentials_have_exactly_the_promised_keys(service, credentials):
    """credentials.json holds url, username, password and token, and they are those in the database."""
    with sqlite3.connect(service.directory / "db.sqlite3") as database:
        row = database.execute("SELECT digest, scopes FROM accounts_token").fetchone()
    database.close()

    assert list(credentials) == ["url", "username", "password", "token"]
    assert credentials["url"] == service.url
    assert credentials["username"] == "admin"
    assert row[0] == digest(credentials["token"])
    assert set(json.loads(row[1])) == {"read", "upload", "manage", "admin"}


def test_token_opens_the_private_index(service, credentials):
    """The printed token reads what an anonymous caller may not."""
    assert service.get("/simple/").status_code == 401
    assert service.get("/simple/", auth=("__token__", credentials["token"])).status_code == 200


def test_password_signs_in(service, credentials):
    """The printed password is the administrator's."""
    answer = service.get("/simple/", auth=(credentials["username"], credentials["password"]))

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".", 0o700),
        ("pkgindex.env", 0o600),
        ("credentials.json", 0o600),
        ("redis/redis.conf", 0o600),
        ("db.sqlite3", 0o600),
    ],
)
def test_secrets_are_for_their_owner_alone(service, name, expected):
    """Nobody else on the machine can read the data."""
    assert mode(service.directory / name) == expected


def test_secrets_are_printed_once_and_not_in_process_lists(service, credentials):
    """The first start shows ready-to-paste lines; no command line of any process shows a secret."""
    lines = [" ".join(process.cmdline()) for process in processes_of(service.directory)]
    held = (service.directory / "pkgindex.env").read_text()
    secret = next(line for line in held.splitlines() if line.startswith("REDIS_URL")).split(":")[2].split("@")[0]

    assert f"pip install --index-url http://__token__:{credentials['token']}@127.0.0.1:{service.port}" in service.log
    assert credentials["password"] in service.log
    assert "twine upload" in service.log
    assert lines
    assert not any(word in line for line in lines for word in (credentials["token"], credentials["password"], secret))


def test_other_commands_meet_the_same_service(service):
    """A command in another terminal needs PKGINDEX_DATA alone to use the same database, Redis and key."""
    code = (
        "from django.conf import settings as s; from django.core.cache import cache; "
        "from pkgindex.accounts.models import User; "
        "print(s.ENV.secret_key_given, User.objects.get().username, cache.client.get_client().ping())"
    )
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "--no-imports", "-c", code],
        env=clean_environment(PKGINDEX_DATA=str(service.directory)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout.strip(), done.stderr) == ("True admin True", "")


def test_second_start_on_the_same_data_is_refused(service):
    """Two supervisors never share a data directory; the sentence names the first one's process."""
    done = run_up("--data", str(service.directory))

    assert done.returncode != 0
    assert f"already running on {service.directory}, as process {service.process.pid}." in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert service.get("/livez").status_code == 200


def test_redis_takes_no_stranger(service):
    """Our Redis listens on loopback and wants the password."""
    held = (service.directory / "pkgindex.env").read_text()
    port = int(next(line for line in held.splitlines() if line.startswith("UP_REDIS_PORT")).split("=")[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")

        assert connection.recv(100).startswith(b"-NOAUTH")
