"""What a page costs while limits are in force."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.catalog.models import Index
from tests.support.catalogue import add_wheel
from throttling import services
from throttling.models import Assignment, Limit, Plan

pytestmark = pytest.mark.django_db(transaction=True)
HEADERS = {"HTTP_ACCEPT": "application/vnd.pypi.simple.v1+json", "HTTP_ACCEPT_ENCODING": "gzip"}


@pytest.fixture
def public(db) -> Index:
    """A public default index."""
    return Index.objects.create(slug="open", is_default=True, visibility="public")


def versions(client) -> list[str]:
    return client.get("/simple/acme/", HTTP_ACCEPT=HEADERS["HTTP_ACCEPT"]).json()["versions"]


@pytest.mark.parametrize("path", ["/simple/acme/", "/simple/"])
def test_hit_under_limits_costs_one_round_trip_too(client, public, round_trips, path):
    """With plans in force the decision and the page's version travel together; with 304 the charge is given back."""
    add_wheel(public)
    plan = Plan(name="everybody")
    services.save(plan, actor="test")
    for name, rate in {"burst": "1000/second", "day": "100000/day calendar", "hour": "9000/hour sliding"}.items():
        services.save(Limit(plan=plan, name=name, rate=rate), actor="test")
    services.save(Assignment(plan=plan, subject="anon"), actor="test")
    etag = client.get(path, **HEADERS)["ETag"]
    client.get(path, **HEADERS)

    answers = []
    with CaptureQueriesContext(connection) as queries:
        hit = round_trips(lambda: answers.append(client.get(path, **HEADERS)))
        unchanged = round_trips(lambda: answers.append(client.get(path, **HEADERS, HTTP_IF_NONE_MATCH=etag)))

    assert [answer.status_code for answer in answers] == [200, 304]
    assert answers[0]["RateLimit"].count(";r=") == 3
    assert (hit, unchanged, len(queries)) == (1, 2, 0)


def test_version_is_read_anew_each_time_under_limits(client, public):
    """What travels with the decision is as fresh as what is asked for alone: an upload shows at once."""
    add_wheel(public)
    plan = Plan(name="everybody")
    services.save(plan, actor="test")
    services.save(Limit(plan=plan, name="burst", rate="1000/second"), actor="test")
    services.save(Assignment(plan=plan, subject="anon"), actor="test")
    before = versions(client)

    add_wheel(public, version="2.0")

    assert (before, versions(client)) == (["1.0"], ["1.0", "2.0"])
