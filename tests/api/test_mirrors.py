"""Mirror nodes over REST, for administrators."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from balancing.models import Node
from pkgindex.accounts.models import User
from pkgindex.audit.models import AuditEntry

pytestmark = pytest.mark.django_db(transaction=True)
NODE = {"name": "east-1", "url": "http://node.example:9000", "zone": "east"}


@pytest.mark.parametrize("path", ["nodes/", "replicas/", "lag/"])
@pytest.mark.parametrize(
    ("who", "scopes", "status"),
    [(None, (), 401), ("reader", ("read", "admin"), 403), ("root", ("read", "manage"), 403), ("root", ("admin",), 200)],
)
def test_nodes_need_an_administrator_with_the_admin_scope(people, admin_user, as_user, path, who, scopes, status):
    """Superuser and scope, both."""
    assert as_user(who and User.objects.get(username=who), scopes)("GET", f"mirrors/{path}").status_code == status


def test_life_of_a_node(call):
    """It is added, changed, drained, activated and removed, and the audit trail has each step."""
    assert call("POST", "mirrors/nodes/", NODE).status_code == 201
    assert call("PATCH", "mirrors/nodes/east-1/", {"weight": 2}).json()["weight"] == 2
    assert call("POST", "mirrors/nodes/east-1/drain/").json()["state"] == "draining"
    assert call("POST", "mirrors/nodes/east-1/activate/").json()["state"] == "active"
    assert call("GET", "mirrors/nodes/east-1/").json()["zone"] == "east"
    assert call("DELETE", "mirrors/nodes/east-1/").status_code == 204
    assert not Node.objects.exists()
    actions = AuditEntry.objects.filter(target_type="node").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["add node", "change node", "drain node", "activate node", "delete node"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "UPPER"},
        {"name": ""},
        {"url": "ftp://node"},
        {"url": "no url"},
        {"weight": -1},
        {"weight": "much"},
        {"weight": 10**9},
        {"kind": "cloud"},
        {"kind": "bucket"},
        {"bucket": "b"},
        {"capacity": -5},
        {"capacity": 10**30},
        {"max_conns": 10**30},
    ],
)
def test_wrong_values_are_refused(call, wrong):
    """400 with the field, never 500, and nothing is stored."""
    answer = call("POST", "mirrors/nodes/", NODE | wrong)

    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"]
    assert not Node.objects.exists()


def test_second_node_of_the_same_name(call):
    """A name is one node's."""
    call("POST", "mirrors/nodes/", NODE)

    assert call("POST", "mirrors/nodes/", NODE | {"url": "http://other.example"}).status_code in {400, 409}


@pytest.mark.parametrize("path", ["nodes/none/", "nodes/none/drain/", "lag/" + "z" * 64 + "/"])
def test_what_is_not_there(call, path):
    """404, whatever is asked of it."""
    assert call("POST" if "drain" in path else "GET", f"mirrors/{path}").status_code == 404


def test_list_costs_the_same_for_many(call):
    """The number of queries does not grow with the number of nodes."""
    counts = []
    for name in ("a", "b", "c", "d"):
        call("POST", "mirrors/nodes/", NODE | {"name": name})
        with CaptureQueriesContext(connection) as queries:
            assert call("GET", "mirrors/nodes/").status_code == 200
        counts.append(len(queries))

    assert counts[1] == counts[3]
