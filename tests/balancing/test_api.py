"""REST: nodes, copies, lag; and what everybody may know."""

import json
import time

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from balancing import api, health, services, stats
from balancing.backends import Condition
from balancing.models import Change, Node, Replica
from balancing.replication import sending
from tests.balancing.conftest import UP, add, put

pytestmark = [pytest.mark.urls("tests.balancing.rest_urls"), pytest.mark.django_db(transaction=True)]
NODES, COPIES, LAG = "/api/mirrors/nodes/", "/api/mirrors/replicas/", "/api/mirrors/lag/"


@pytest.fixture
def rest():
    client = APIClient()
    client.force_authenticate(get_user_model().objects.create_superuser("boss", "boss@example.org", "boss-password"))
    return client


def copies(count, node="a", state="verified", first=0):
    rows = [
        Replica(digest=f"{first + n:064x}", node_id=node, size=1, state=state, due_at=timezone.now())
        for n in range(count)
    ]
    return Replica.objects.bulk_create(rows)


def walk(rest, **query):
    """All pages of a list of copies."""
    found, after = [], {}
    while True:
        page = rest.get(COPIES, query | after).json()
        found += page["results"]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


class TestNodes:
    """A node's life."""

    def test_add_change_drain_and_delete(self, rest):
        """Each is recorded under the person's name."""
        made = rest.post(NODES, {"name": "a", "url": "http://mirror-1:8000", "zone": "eu"})
        assert (made.status_code, made.json()["state"], made.json()["health"]["words"]) == (201, "active", "not up yet")
        assert rest.patch(f"{NODES}a/", {"weight": 2.5}).json()["weight"] == 2.5
        assert rest.post(f"{NODES}a/drain/").json()["state"] == "draining"
        assert rest.post(f"{NODES}a/drain/").status_code == 200
        assert rest.post(f"{NODES}a/disable/").json()["health"]["words"] == "disabled"
        assert rest.post(f"{NODES}a/activate/").json()["state"] == "active"
        assert rest.delete(f"{NODES}a/").status_code == 204
        assert list(Change.objects.values_list("actor", "action")) == [
            ("boss", action) for action in ("delete", "activate", "disable", "drain", "change", "add")
        ]

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({}, "name"),
            ({"name": "A"}, "name"),
            ({"name": "a/../b"}, "name"),
            ({"url": "ftp://x"}, "url"),
            ({"url": "http://u:p@x"}, "url"),
            ({"weight": -1}, "weight"),
            ({"weight": "NaN"}, "weight"),
            ({"capacity": 2**64}, "capacity"),
            ({"kind": "bucket"}, "bucket"),
            ({"zone": "\x00"}, "zone"),
            ({"max_conns": 10**12}, "max_conns"),
        ],
    )
    def test_wrong_values_are_refused_with_their_field(self, rest, data, field):
        """Status 400, and nothing is written."""
        given = {"name": "a", "url": "http://x"} | data if data else {}
        answer = rest.post(NODES, given, format="json")
        assert (answer.status_code, Node.objects.count()) == (400, 0), answer.content
        assert field in answer.json()

    def test_name_is_unique_and_never_changes(self, rest):
        """Signatures and copies go by it."""
        add("a")
        assert rest.post(NODES, {"name": "a", "url": "http://other"}).status_code == 400
        assert rest.patch(f"{NODES}a/", {"name": "b"}).json() == {
            "name": ["A node's name never changes: signatures and copies go by it."]
        }

    def test_state_is_not_written_but_by_its_actions(self, rest):
        """A PATCH with a state changes none."""
        add("a")
        rest.patch(f"{NODES}a/", {"state": "disabled", "weight": 2})
        assert Node.objects.get().state == "active"

    @pytest.mark.parametrize("word", ["", "drain/", "activate/", "disable/", "verify/", "sync/", "probes/"])
    def test_unknown_node_is_404(self, rest, word):
        """On every address."""
        method = rest.get if word in {"", "probes/"} else rest.post
        assert method(f"{NODES}nobody/{word}").status_code == 404

    def test_health_traffic_lag_and_probes(self, rest):
        """What the list of the admin shows, in numbers."""
        add("a", capacity=100)
        health.probed("a", True, 0.5, Condition(free=9, in_flight=2), used=7)
        health.failed("a", "reset")
        stats.count("a", 50)
        copies(3, state="pending")
        Node.objects.get().probes.create(at=timezone.now(), passed=False, seconds=1.0, detail="x")
        found = rest.get(f"{NODES}a/").json()
        assert {key: found["health"][key] for key in ("up", "free", "used", "in_flight", "latency", "last_error")} == {
            "up": True,
            "free": 9,
            "used": 7,
            "in_flight": 2,
            "latency": 0.5,
            "last_error": "reset",
        }
        assert found["health"]["failing"] == pytest.approx(0.2, abs=0.05)
        assert found["served"] == {"downloads": 1, "bytes": 50, "share": 1.0}
        assert (found["lag"]["copies"], found["lag"]["total"]) == ({"pending": 3}, 3)
        assert rest.get(f"{NODES}a/probes/").json()[0]["detail"] == "x"

    def test_list_costs_the_same_for_many_nodes(self, rest):
        """Nothing is asked for each node."""
        costs = []
        for count in (2, 12):
            for number in range(count - Node.objects.count()):
                add(f"n{count}-{number}")
            with CaptureQueriesContext(connection) as seen:
                assert len(rest.get(NODES).json()) == count
            costs.append(len(seen))
        assert costs[0] == costs[1] <= 4

    @pytest.mark.parametrize("word", ["verify", "sync"])
    def test_verify_and_sync_are_accepted_or_say_that_the_broker_is_away(self, rest, word):
        """202 and 503."""
        from celery import current_app

        add("a")
        current_app.conf.broker_url = "memory://"
        sending.breaker.until = 0.0
        assert rest.post(f"{NODES}a/{word}/").status_code == 202
        current_app.conf.broker_url = "redis://127.0.0.1:9/0"
        sending.breaker.until = 0.0
        answer = rest.post(f"{NODES}a/{word}/")
        sending.breaker.until = 0.0
        assert (answer.status_code, answer.json()["accepted"]) == (503, False)

    @pytest.mark.parametrize("url", [NODES, COPIES, LAG, f"{NODES}a/"])
    def test_only_whom_the_project_lets_in(self, url):
        """Strangers and people without rights are refused everywhere."""
        add("a")
        stranger = APIClient()
        assert stranger.get(url).status_code in {401, 403}
        stranger.force_authenticate(get_user_model().objects.create_user("carol", password="x"))
        assert stranger.get(url).status_code == 403
        assert stranger.post(f"{NODES}a/drain/").status_code == 403


class TestCopies:
    """Keyset pages."""

    def test_pages_hold_each_copy_once_also_while_others_come(self, rest):
        """Rows that are added or removed meanwhile make none appear twice or vanish."""
        add("a")
        copies(25)
        first = rest.get(COPIES, {"limit": 10}).json()
        Replica.objects.filter(pk__lte=first["results"][4]["id"]).delete()
        copies(3, first=100)
        found, after = first["results"], first["next"]
        while after:
            page = rest.get(COPIES, {"limit": 10, "after": after}).json()
            found, after = found + page["results"], page["next"]
        assert [row["digest"] for row in found] == [f"{n:064x}" for n in [*range(25), 100, 101, 102]]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({}, 40),
            ({"node": "a"}, 20),
            ({"node": "nobody"}, 0),
            ({"state": "failed"}, 10),
            ({"node": "b", "state": "failed"}, 10),
            ({"node": "a", "state": "failed"}, 0),
            ({"digest": f"{3:064x}"}, 2),
            ({"digest": f"{3:064x}", "node": "b"}, 1),
            ({"digest": f"{3:064x}", "node": "b", "state": "verified"}, 1),
        ],
    )
    def test_filters(self, rest, query, expected):
        """Alone and together; a walk by small pages finds what one page does."""
        add("a")
        add("b")
        copies(20)
        copies(10, node="b")
        copies(10, node="b", state="failed", first=10)
        assert len(rest.get(COPIES, query).json()["results"]) == expected
        assert len({row["id"] for row in walk(rest, limit=3, **query)}) == expected

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"node": "A B"}, "node"),
            ({"node": "\x00"}, "node"),
            ({"state": "asleep"}, "state"),
            ({"digest": "abc"}, "digest"),
            ({"digest": "A" * 64}, "digest"),
            ({"limit": "0"}, "limit"),
            ({"limit": "1001"}, "limit"),
            ({"limit": "-1"}, "limit"),
            ({"limit": "²"}, "limit"),
            ({"after": "x"}, "after"),
            ({"after": "9" * 19 + "9"}, "after"),
            ({"after": str(2**63)}, "after"),
            ({"after": "1", "node": "a", "state": "verified"}, "after"),
            ({"after": "a" * 64}, "after"),
        ],
    )
    def test_wrong_queries_are_refused_with_their_parameter(self, rest, query, field):
        """Never a 500."""
        answer = rest.get(COPIES, query)
        assert (answer.status_code, list(answer.json())) == (400, [field])

    def test_one_query_by_an_index(self, rest):
        """At 20,000 rows, on the second page, whatever the filter."""
        for name in "abcd":
            add(name)
        for name in "abcd":
            copies(5_000, node=name, state="verified")
        Replica.objects.filter(pk__in=list(Replica.objects.values_list("pk", flat=True)[::100])).update(state="failed")
        filters = [{}, {"node": "b"}, {"state": "failed"}, {"state": "verified"}, {"node": "b", "state": "verified"}]
        for query in [*filters, {"digest": f"{3:064x}"}]:
            self.looks_by_an_index(rest, query)

    def looks_by_an_index(self, rest, query):
        after = rest.get(COPIES, {"limit": 2, **query}).json()["next"]
        with CaptureQueriesContext(connection) as seen:
            assert rest.get(COPIES, {"limit": 2, **query, **({"after": after} if after else {})}).status_code == 200
        (query_run,) = seen.captured_queries
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query_run['sql']}")
            plan = "\n".join(row[3] for row in cursor.fetchall())
        assert "SCAN" not in plan.replace("SCAN CONSTANT", "")
        assert query != {"state": "failed"} or "balancing_replica_state" in plan
        assert "digest" in query or "TEMP B-TREE" not in plan


class TestLag:
    """By node and by file."""

    def test_of_nodes_and_of_a_file(self, rest):
        """Also of a file that nobody knows."""
        add("a")
        add("b")
        copies(2, state="pending")
        copies(1, node="b")
        assert {name: row["total"] for name, row in rest.get(LAG).json().items()} == {"a": 2, "b": 0}
        found = rest.get(f"{LAG}{0:064x}/").json()
        assert (found["copies"], found["wanted"], found["verified"]) == ({"a": "pending", "b": "verified"}, 2, 1)
        assert rest.get(f"{LAG}{'f' * 64}/").json()["wanted"] == 0
        assert rest.get(f"{LAG}abc/").status_code == 404


def test_public_status_tells_no_address_and_no_error():
    """Name, zone, state, health and lag; JSON as it is."""
    add("a", zone="eu", url="http://secret.example.org", public_url="http://public.example.org")
    add("b")
    put("b", UP, ejections=1, ejected_until=time.time() + 25)
    health.failed("a", "secret error")
    services.drain("b", "boss")
    copies(2, state="pending")
    found = api.status()
    text = json.dumps(found)
    assert not [word for word in ("secret", "public", "http") if word in text]
    assert found["nodes"][0] == {
        "name": "a",
        "zone": "eu",
        "state": "active",
        "healthy": True,
        "health": "up",
        "lag": 2,
    }
    assert [one["state"] for one in found["nodes"]] == ["active", "draining"]
