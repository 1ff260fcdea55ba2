"""What the system checks say of a wrong deployment: an id, a sentence and a hint, and no secret."""

import pytest
from django.conf import settings as django_settings

from balancing import checks

SECRET = "5e" * 20


@pytest.mark.parametrize(
    ("wrong", "ident", "word"),
    [
        ({"NO_SUCH_KEY": 1}, "E001", "NO_SUCH_KEY"),
        ({"KEYS": {"k1": "ab" * 31}}, "E002", "shorter than 32 bytes"),
        ({"KEYS": {"k1": SECRET + "zz"}}, "E002", "hex"),
        ({"KEYS": {"k1": 7}}, "E002", "hex"),
        ({"KEYS": {"k 1": "ab" * 32}}, "E002", "id has"),
        ({"KEYS": {"new": "11" * 32, "old": "ab"}}, "E002", "'old' is shorter"),
        ({"KEYS": ["ab" * 32]}, "E002", "hex"),
        ({"SOURCE": "nowhere.at.all"}, "E003", "nowhere"),
        ({"SOURCE": "plain"}, "E003", "plain"),
        ({"SOURCE": "balancing.source.ALL"}, "E003", "cannot be called"),
        ({"RULES": {"rise": 0}}, "E004", "rise and fall"),
        ({"RULES": {"panic": 2}}, "E004", "panic must lie"),
        ({"RULES": {"nonsense": 2}}, "E004", "nonsense"),
        ({"RULES": {"interval": "often"}}, "E004", "interval"),
        ({"RULES": 7}, "E004", "RULES"),
        ({"CACHE": "other"}, "E005", "'other'"),
        ({"PICTURE_SECONDS": 5}, "E006", "PICTURE_SECONDS"),
        ({"PROBE_TIMEOUT": 0}, "E006", "PROBE_TIMEOUT"),
        ({"NODE_TIMEOUT": "10"}, "E006", "NODE_TIMEOUT"),
        ({"ATTEMPTS": 0}, "E006", "ATTEMPTS"),
        ({"KEEP_PROBES": -1}, "E006", "KEEP_PROBES"),
        ({"QUEUE": -1}, "E006", "QUEUE"),
        ({"QUEUE_SECONDS": 60}, "E006", "QUEUE_SECONDS"),
    ],
)
def test_wrong_setting(settings, wrong, ident, word):
    """One message, with what to do."""
    settings.BALANCING = settings.BALANCING | wrong
    (found,) = checks.check_settings(None)
    assert (found.id, word in found.msg, bool(found.hint)) == (f"balancing.{ident}", True, True), found
    assert SECRET not in f"{found.msg}{found.hint}"


def test_no_dictionary(settings):
    """The setting as a whole."""
    settings.BALANCING = ["x"]
    assert [one.id for one in checks.check_settings(None)] == ["balancing.E001"]


def test_cache_of_another_kind(settings):
    """The picture would be shared with nobody."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert [one.id for one in checks.check_settings(None)] == ["balancing.E005"]


def test_this_project_is_fine():
    """And so is one that has no nodes yet."""
    assert checks.check_settings(None) == []
    assert django_settings.BALANCING["KEYS"]


def test_project_without_nodes_is_fine(settings):
    """Nothing set at all."""
    settings.BALANCING = {}
    assert checks.check_settings(None) == []
