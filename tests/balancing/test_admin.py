"""The admin: nodes, and copies at many rows."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from balancing import listing, services, snapshot, stats
from balancing.backends import Condition
from balancing.health import failed, probed
from balancing.models import Change, Health, Node, Replica, ReplicaState
from balancing.replication import sending
from balancing.states import NodeState
from tests.balancing.conftest import add, put

pytestmark = [pytest.mark.urls("tests.balancing.urls"), pytest.mark.django_db(transaction=True)]
NODES, COPIES = "/admin/balancing/node/", "/admin/balancing/replica/"


@pytest.fixture
def page(client):
    client.force_login(get_user_model().objects.create_superuser("boss", "boss@example.org", "boss-password"))
    return client


def form(**more):
    data = {"name": "a", "kind": "server", "url": "http://mirror-1:8000", "weight": "1.0", "max_conns": "0"}
    return data | more


def act(page, action, *names):
    return page.post(NODES, {"action": action, "_selected_action": names}, follow=True).content.decode()


class TestNodes:
    """The list, the page, the actions."""

    def test_add_change_and_delete_are_recorded(self, page):
        """Through services, with the person's name."""
        assert page.post(f"{NODES}add/", form()).status_code == 302
        assert page.post(f"{NODES}a/change/", form(weight="2.5", zone="eu")).status_code == 302
        assert (Node.objects.get().weight, snapshot.current().member("a").zone) == (2.5, "eu")
        assert page.post(f"{NODES}a/delete/", {"post": "yes"}).status_code == 302
        assert list(Change.objects.values_list("actor", "action", "target")) == [
            ("boss", "delete", "a"),
            ("boss", "change", "a"),
            ("boss", "add", "a"),
        ]

    @pytest.mark.parametrize(
        "wrong", [{"name": "A B"}, {"url": "ftp://x"}, {"url": "http://u:p@x"}, {"weight": "-1"}, {"weight": "nan"}]
    )
    def test_wrong_values_come_back_with_the_form(self, page, wrong):
        """Nothing is written."""
        answer = page.post(f"{NODES}add/", form(**wrong))
        assert (answer.status_code, Node.objects.count()) == (200, 0)
        assert "errorlist" in answer.content.decode()

    def test_name_of_a_node_never_changes(self, page):
        """The form does not take another one."""
        add("a")
        page.post(f"{NODES}a/change/", form(name="b"))
        assert list(Node.objects.values_list("pk", flat=True)) == ["a"]

    def test_list_tells_health_lag_share_error_and_room(self, page):
        """In words."""
        add("a")
        add("new", state=NodeState())
        probed("a", True, 0.1, Condition(free=7_500_000_000))
        failed("a", "reset by <peer>")
        stats.count("a", 2_000_000)
        Replica.objects.create(digest="a" * 64, node_id="a", size=5_000, due_at=timezone.now())
        text = page.get(NODES).content.decode()
        for word in (
            "not up yet",
            "1 copies, 5.0 kB, oldest 0 s",
            "100.0% (1 downloads, 2.0 MB)",
            "reset by &lt;peer&gt;",
            "7.5 GB",
        ):
            assert word in text

    def test_list_costs_the_same_for_many_nodes(self, page):
        """Nothing is asked for each row."""
        costs = []
        for count in (2, 12):
            for number in range(count):
                if not Node.objects.filter(pk=f"n{number}").exists():
                    add(f"n{number}")
            with CaptureQueriesContext(connection) as seen:
                assert page.get(NODES).status_code == 200
            costs.append(len(seen))
        assert costs[0] == costs[1]

    def test_page_tells_probes_and_changes(self, page):
        """The latest fifty of each, in a number of queries that does not grow."""
        add("a")
        for number in range(60):
            row = Node.objects.get()
            row.probes.create(at=timezone.now(), passed=number % 2, seconds=0.0123, detail=f"<probe {number}>")
        services.drain("a", "alice")
        with CaptureQueriesContext(connection) as seen:
            text = page.get(f"{NODES}a/change/").content.decode()
        assert (text.count("in 12.3 ms"), "&lt;probe 59&gt;" in text, "&lt;probe 9&gt;" in text) == (50, True, False)
        assert "alice: drain state: active → draining" in text
        assert '<div class="readonly">draining</div>' in text
        assert len(seen) <= 12

    def test_actions(self, page):
        """Drain, activate and disable several at once; repeating says that nothing changed."""
        for name in "abc":
            add(name)
        assert "2 nodes are drained" in act(page, "drain", "a", "b")
        assert "0 nodes are drained" in act(page, "drain", "a")
        act(page, "activate", "a")
        act(page, "disable", "c")
        assert dict(Node.objects.values_list("pk", "state")) == {"a": "active", "b": "draining", "c": "disabled"}

    @pytest.mark.parametrize(("action", "task"), [("verify", "balancing.scrub"), ("sync", "balancing.compare")])
    def test_verify_and_sync_are_tasks(self, page, settings, action, task):
        """In the background; where the broker is away, that is what the page says."""
        from celery import current_app

        add("a")
        current_app.conf.broker_url = "memory://"
        sending.breaker.until = 0.0
        assert "in the background" in act(page, action, "a")
        current_app.conf.broker_url = "redis://127.0.0.1:9/0"
        sending.breaker.until = 0.0
        current_app.pool.force_close_all()
        text = act(page, action, "a")
        sending.breaker.until = 0.0
        assert "The broker does not take tasks now" in text
        assert task

    def test_deleting_a_node_lists_no_copies(self, page):
        """A million of them would be the end of the page."""
        add("a")
        Replica.objects.bulk_create(
            Replica(digest=f"{n:064x}", node_id="a", size=1, due_at=timezone.now()) for n in range(500)
        )
        with CaptureQueriesContext(connection) as seen:
            text = page.get(f"{NODES}a/delete/").content.decode()
        assert ("what is known of its copies" in text, f"{1:064x}" in text, len(seen) <= 8) == (True, False, True)
        page.post(NODES, {"action": "delete_selected", "_selected_action": ["a"], "post": "yes"})
        assert (Node.objects.count(), Replica.objects.count(), Health.objects.count()) == (0, 0, 0)

    def test_people_without_rights_cannot_act(self, client):
        """Staff that may only look sees no actions and changes nothing."""
        from django.contrib.auth.models import Permission

        add("a")
        person = get_user_model().objects.create_user("carol", password="x", is_staff=True)
        person.user_permissions.add(Permission.objects.get(codename="view_node"))
        client.force_login(person)
        assert "drain" not in client.get(NODES).content.decode().lower().replace("draining", "")
        client.post(NODES, {"action": "drain", "_selected_action": ["a"]})
        assert client.post(f"{NODES}a/change/", form(weight="9")).status_code == 403
        assert client.post(f"{NODES}a/delete/", {"post": "yes"}).status_code == 403
        assert (Node.objects.get().state, Node.objects.get().weight) == ("active", 1.0)


@pytest.fixture
def many():
    """20,000 copies on four nodes, a few of them not verified."""
    for name in "abcd":
        add(name)
    states = dict(enumerate(ReplicaState.values))
    Replica.objects.bulk_create(
        (
            Replica(
                digest=f"{n // 4 * 2654435761 % 2**64:064x}"[::-1],
                node_id="abcd"[n % 4],
                size=1,
                state=states.get(n % 1_000 // 4, "verified"),
                due_at=timezone.now(),
            )
            for n in range(20_000)
        ),
        batch_size=2_000,
    )


def plans(seen):
    """The plan of each query about copies."""
    for query in seen.captured_queries:
        if 'FROM "balancing_replica"' in query["sql"] and query["sql"].startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                yield query["sql"], "\n".join(row[3] for row in cursor.fetchall())


class TestCopies:
    """The list of copies at many rows."""

    def test_every_list_walks_an_index_and_sorts_nothing(self, page, many):
        """No filter makes the database look at all rows or sort what it found; queries stay few, counts end."""
        digest = Replica.objects.order_by("id").values_list("digest", flat=True)[4]
        node, state, both = "node__name__exact=b", "state__exact", "balancing_replica_node (node_id=? AND state=?)"
        for query, index in (
            ("", ""),
            ("p=3", ""),
            (node, "INDEX"),
            (f"{state}=failed", "balancing_replica_state"),
            (f"{state}=verified", ""),
            (f"{node}&{state}=failed", both),
            (f"{node}&{state}=verified&p=2", both),
            (f"q={digest}", "PRIMARY KEY"),
            (f"q={digest[:10]}&{node}", "PRIMARY KEY"),
        ):
            self.walks_an_index(page, query, index)

    def walks_an_index(self, page, query, index):
        with CaptureQueriesContext(connection) as seen:
            answer = page.get(f"{COPIES}?{query}")
        assert answer.status_code == 200
        assert answer.context["cl"].result_list
        assert answer.context["cl"].result_count <= listing.MOST_COUNTED
        assert len(seen) <= 8
        for sql, plan in plans(seen):
            assert "LIMIT" in sql or answer.context["cl"].result_count <= 100
            if "q=" not in query:  # a search has found its few rows, by digest, before
                assert "TEMP B-TREE" not in plan, (sql, plan)
                assert index in plan, (sql, plan)
            else:
                ways = (index, "rowid=?", "sqlite_autoindex_balancing_replica_1 (digest>? AND digest<?)")
                assert any(way in plan for way in ways), plan

    def test_counts_no_further_than_its_limit(self, page, many):
        """The last page that is offered lies at 10,000 rows, and is quick."""
        with CaptureQueriesContext(connection) as seen:
            answer = page.get(f"{COPIES}?p=100")
        assert answer.context["cl"].result_count == listing.MOST_COUNTED
        assert len(answer.context["cl"].result_list) == 100
        counts = [query["sql"] for query in seen.captured_queries if "COUNT(" in query["sql"]]
        assert len(counts) == 1
        assert f"LIMIT {listing.MOST_COUNTED}" in counts[0]

    @pytest.mark.parametrize("text", ["abc", "zz" * 8, "%", "' OR 1=1", "a" * 65])
    def test_what_begins_no_digest_finds_nothing(self, page, text):
        """And costs nothing."""
        add("a")
        Replica.objects.create(digest="a" * 64, node_id="a", size=1, due_at=timezone.now())
        answer = page.get(COPIES, {"q": text})
        assert (answer.status_code, len(answer.context["cl"].result_list)) == (200, 0)

    def test_copies_are_read_only(self, page):
        """Rows change by replication alone."""
        add("a")
        row = Replica.objects.create(digest="a" * 64, node_id="a", size=1, due_at=timezone.now())
        assert page.get(f"{COPIES}{row.pk}/change/").status_code == 200
        assert page.post(f"{COPIES}{row.pk}/change/", {"state": "verified"}).status_code == 403
        assert page.get(f"{COPIES}add/").status_code == 403
        assert page.post(f"{COPIES}{row.pk}/delete/", {"post": "yes"}).status_code == 403

    def test_changes_are_read_only(self, page):
        """Nobody writes history."""
        put(add("a").pk)
        text = page.get("/admin/balancing/change/").content.decode()
        assert "url: - → http://a.example.org" in text
        assert page.get("/admin/balancing/change/add/").status_code == 403
