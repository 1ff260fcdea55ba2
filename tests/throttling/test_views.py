"""DRF throttles and decorators, through Django's whole stack."""

import time

import pytest
from django.contrib.auth import get_user_model
from rest_framework.settings import api_settings

from tests.throttling import structured
from throttling import plans, services

pytestmark = [pytest.mark.urls("tests.throttling.urls"), pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _with_headers(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "throttling.middleware.RateLimitHeaders"]


def statuses(client, path, times=4, **more):
    return [client.get(path, **more).status_code for _ in range(times)]


def state(response):
    return {name: values["r"] for name, values in structured.read(response["RateLimit"])}


def test_several_throttles_of_a_view_are_all_or_none(client):
    """A thousand... a hundred refusals by `burst` leave `sustained` where it was: DRF's own fault number five."""
    assert statuses(client, "/both", 103).count(200) == 3
    assert state(client.get("/both"))["sustained"] == 97


def test_every_answer_has_headers_and_a_refusal_a_retry_after(client):
    """Also when the throttle is DRF's mechanism, which knows only Retry-After."""
    assert state(client.get("/both")) == {"burst": 2, "sustained": 99}
    statuses(client, "/both", 3)
    refused = client.get("/both")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1


def test_anonymous_callers_are_limited_by_address_and_users_are_not(client):
    """AnonRateThrottle; a forged X-Forwarded-For changes nothing."""
    assert statuses(client, "/anonymous", HTTP_X_FORWARDED_FOR="1.1.1.1") == [200, 200, 429, 429]
    assert statuses(client, "/anonymous", 1, HTTP_X_FORWARDED_FOR="2.2.2.2") == [429]
    assert statuses(client, "/anonymous", 2, REMOTE_ADDR="192.0.2.77") == [200, 200]


def test_scoped_rates_come_from_drfs_settings(client, monkeypatch):
    """The settings a project has already."""
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"exports": "2/hour"}, raising=False)
    assert statuses(client, "/scoped") == [200, 200, 429, 429]
    assert statuses(client, "/unscoped") == [200] * 4


def test_rates_in_the_database_win_and_change_while_running(client, plan, monkeypatch):
    """The plan `drf` replaces the setting by scope, and an edit holds at once."""
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"exports": "2/hour"}, raising=False)
    row = plan(plan_name="drf", exports={"rate": "3/hour", "scopes": "exports"}).limits.get()
    assert statuses(client, "/scoped") == [200, 200, 200, 429]
    row.rate = "1000/second"
    services.save(row, actor="test")
    plans.reset()
    statuses(client, "/scoped", 1)
    time.sleep(0.1)
    assert statuses(client, "/scoped") == [200] * 4


def test_the_callers_plan_with_costs(client, plan):
    """PlanThrottle: the user's plan, a cost from the view."""
    plan("everyone", exports={"rate": "10/hour", "scopes": "exports"})
    assert statuses(client, "/planned?cost=4") == [200, 200, 429, 429]


def test_a_refund_makes_a_request_free(client):
    """The view decides that it cost nothing."""
    assert statuses(client, "/refunding", 20) == [200] * 20


def test_a_plain_view(client):
    """The decorator: headers, problem details, Retry-After."""
    assert statuses(client, "/plain", 2) == [200, 200]
    refused = client.get("/plain")
    assert refused.status_code == 429
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["violated-policies"] == ["ok"]
    assert int(refused["Retry-After"]) >= 1
    assert state(refused) == {"ok": 0, "ok-1": 98}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/post-only", [200] * 4),
        ("/exempt?me", [200] * 4),
        ("/exempt", [200, 429, 429, 429]),
        ("/costly?n=5", [200, 200, 429, 429]),
        ("/costly?n=50", [429] * 4),
        ("/shadow", [200] * 4),
        ("/failures", [200] * 4),
        ("/failures?bad", [400, 400, 429, 429]),
        ("/own-words", [200, 503, 503, 503]),
        ("/by-key", [200] * 4),
        ("/by-key?k=a", [200, 429, 429, 429]),
        ("/by-plan", [200] * 4),
    ],
)
def test_options_of_the_decorator(client, path, expected):
    """Methods, exemption, cost, shadow, charge by the response, own answer, any key (an empty one is not counted)."""
    assert statuses(client, path) == expected


def test_views_with_one_name_share_a_limit(client):
    """Flask-Limiter's shared limits."""
    assert statuses(client, "/shared-1", 1) + statuses(client, "/shared-2", 2) == [200, 200, 429]


def test_keys_are_counted_apart(client):
    """Any expression can be the key, as in nginx."""
    assert statuses(client, "/by-key?k=b", 1) + statuses(client, "/by-key?k=c", 1) == [200, 200]


def test_stacked_decorators_are_all_or_none(client):
    """What the inner one refuses is not charged to the outer one."""
    assert statuses(client, "/first", 9).count(200) == 1
    assert state(client.get("/first"))["first"] == 4


def test_users_are_counted_apart_behind_one_address(client):
    """Two people at one NAT."""
    for name in ("ann", "ben"):
        client.force_login(get_user_model().objects.create_user(name))
        assert statuses(client, "/plain", 3) == [200, 200, 429]


def test_everybody_goes_on_without_redis(client, settings):
    """No exception reaches a user when the store cannot be reached at all."""
    settings.THROTTLING = {"CLIENT": "tests.throttling.stores.nowhere"}
    assert statuses(client, "/plain", 3) == [200, 200, 429]
