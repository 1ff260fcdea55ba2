"""Each wrong deployment has its system check."""

import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.conf import settings as current
from django.core.checks import CheckMessage, Tags, run_checks
from django_redis import get_redis_connection

from tests.quickstart.service import ROOT, clean_environment

GOOD = {
    "SECRET_KEY": "k" * 20 + "".join(map(chr, range(65, 105))),
    "ALLOWED_HOSTS": "example.org",
    "HTTPS_ONLY": "true",
}


def ours() -> list[CheckMessage]:
    """What our checks say: those of Django's groups that ask no database."""
    found = run_checks(tags=[Tags.security, Tags.urls], include_deployment_checks=True)
    return [message for message in found if message.id.startswith("pkgindex.")]


def ids() -> set[str]:
    return {message.id for message in ours()}


def test_the_tests_own_settings_raise_only_what_they_are():
    """The suite allows every host and nothing else is wrong with it."""
    assert ids() == {"pkgindex.W005"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ENV": replace(current.ENV, secret_key_given=False)}, "pkgindex.E001"),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["localhost", "example.org"]}, "pkgindex.E002"),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["*"]}, "pkgindex.E002"),
        ({"PUBLIC_URL": "example.org"}, "pkgindex.E003"),
        ({"PUBLIC_URL": "ftp://example.org"}, "pkgindex.E003"),
        ({"PUBLIC_URL": "https://example.org/?a=b"}, "pkgindex.E003"),
        ({"PUBLIC_URL": "http://example.org", "ENV": replace(current.ENV, https_only=True)}, "pkgindex.E004"),
        ({"ALLOWED_HOSTS": ["*"]}, "pkgindex.W005"),
        ({"TRUSTED_PROXIES": (ip_network("10.0.0.0/8"), ip_network("::/0"))}, "pkgindex.W006"),
    ],
)
def test_wrong_deployment_is_named(settings, changed, expected):
    """The check's id is stable, and it says what to do."""
    for name, value in changed.items():
        setattr(settings, name, value)

    found = [message for message in ours() if message.id == expected]
    assert len(found) == 1
    assert found[0].hint


@pytest.mark.parametrize(
    "changed",
    [
        {"DEBUG": True, "ALLOWED_HOSTS": ["localhost"]},
        {"PUBLIC_URL": "https://example.org/packages", "ALLOWED_HOSTS": ["example.org"]},
        {"TRUSTED_PROXIES": (ip_network("10.0.0.0/8"),), "ALLOWED_HOSTS": ["example.org"]},
    ],
)
def test_right_deployment_is_silent(settings, changed):
    """What is meant to be done raises nothing."""
    for name, value in changed.items():
        setattr(settings, name, value)

    assert ids() == set()


def run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean_environment(PKGINDEX_DATA=str(home), **environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_production_settings_pass_django_s_deployment_checks(tmp_path):
    """The three variables that every deployment sets are enough for a clean `check --deploy`."""
    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **GOOD)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("memory", "policy", "expected"),
    [
        ("64mb", "allkeys-lru", {"pkgindex.W007"}),
        ("64mb", "volatile-ttl", {"pkgindex.W007"}),
        ("64mb", "noeviction", set()),
        ("0", "allkeys-lru", set()),
    ],
)
def test_a_redis_that_forgets_limits_is_named(settings, memory, policy, expected):
    """A policy that drops keys counts once there is a bound on memory."""
    settings.ALLOWED_HOSTS = ["example.org"]
    redis = get_redis_connection("default", write=True)
    before = redis.config_get("maxmemory*")
    redis.config_set("maxmemory", memory)
    redis.config_set("maxmemory-policy", policy)
    try:
        found = ids()
    finally:
        redis.config_set("maxmemory", before["maxmemory"])
        redis.config_set("maxmemory-policy", before["maxmemory-policy"])

    assert found == expected


def test_checks_are_silent_without_redis(settings, redis_server):
    """Where an image is built there is none."""
    settings.ALLOWED_HOSTS = ["example.org"]
    redis_server.stop()
    try:
        assert ids() == set()
    finally:
        redis_server.start()


def test_web_server_does_not_start_without_a_key(tmp_path):
    """Workers with keys of their own would sign each other's users out."""
    done = run(tmp_path, "-c", "import pkgindex.wsgi")

    assert done.returncode == 1
    assert "SECRET_KEY is not set" in done.stderr
