"""Wrong deployments are told at start."""

import pytest
from django.core.checks import run_checks

from throttling import conf


def found(settings, **given):
    settings.THROTTLING = {key.upper(): value for key, value in given.items()}
    return [message.id for message in run_checks(tags=["throttling"])]


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({}, []),
        ({"storr": "redis"}, ["throttling.E001"]),
        ({"store": "disk"}, ["throttling.E002"]),
        ({"store": "memory"}, ["throttling.W001"]),
        ({"cache": "nowhere"}, ["throttling.E003"]),
        ({"trusted_proxies": ["10.0.0.0/99"]}, ["throttling.E004"]),
        ({"trusted_proxies": ["0.0.0.0/0"]}, ["throttling.W002"]),
        ({"caller": "nowhere.at_all"}, ["throttling.E005"]),
        ({"plan_seconds": 60}, ["throttling.E006"]),
        ({"workers": 0}, ["throttling.E007"]),
        ({"most_delayed": -1}, ["throttling.E008"]),
    ],
)
def test_checks(settings, given, ids):
    """Each mistake has its own id."""
    assert found(settings, **given) == ids


def test_an_overridden_setting_is_read_anew(settings):
    """Tests of projects can change it."""
    settings.THROTTLING = {"WORKERS": 7}
    assert conf.get().workers == 7
