"""Plans, limits, assignments, exemptions, bans and changes over REST, for administrators; and what the audit keeps."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pkgindex.accounts.models import User
from throttling import bans, plans, services, take
from throttling.models import Assignment, Ban, Change, Exemption, Limit, Plan
from throttling.subjects import Caller

pytestmark = pytest.mark.django_db(transaction=True)
LISTS = ["plans", "limits", "assignments", "exemptions", "bans", "changes"]


def in_an_hour() -> str:
    return (timezone.now() + timedelta(hours=1)).isoformat()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("who", "scopes", "status"),
    [(None, (), 401), ("reader", ("read", "admin"), 403), ("root", ("read", "manage"), 403), ("root", ("admin",), 200)],
)
def test_limits_need_an_administrator_with_the_admin_scope(people, admin_user, as_user, path, who, scopes, status):
    """Superuser and scope, both; each refusal is problem details that say what is missing."""
    answer = as_user(who and User.objects.get(username=who), scopes)("GET", f"limits/{path}/")

    assert answer.status_code == status
    if status != 200:
        assert answer["Content-Type"] == "application/problem+json"


def test_a_token_with_narrower_limits_does_not_administer_limits(index, admin_user, as_user):
    """A token for one index changes nothing for all of them."""
    call = as_user(admin_user, ("admin",), index=index)

    assert call("POST", "limits/plans/", {"name": "ci"}).status_code == 403
    assert not Plan.objects.exists()


def test_life_of_a_plan(call):
    """Made, in force, asked about, reset, changed, deleted; recorded under a name that people know."""
    assert call("POST", "limits/plans/", {"name": "ci", "description": "Build farm"}).status_code == 201
    limit = {"plan": "ci", "name": "pages", "rate": "2/hour", "scopes": "index"}
    made = call("POST", "limits/limits/", limit).json()
    given = call("POST", "limits/assignments/", {"plan": "ci", "subject": "user:77"}).json()
    bob = Caller(user="77")
    plans.reset()
    assert [take.take(bob, "index").allowed for _ in range(3)] == [True, True, False]

    usage = call("GET", f"limits/assignments/{given['id']}/usage/").json()["limits"]
    assert [(row["name"], row["used"], row["quota"]) for row in usage] == [("pages", 2, 2)]
    assert call("POST", f"limits/assignments/{given['id']}/reset/").json() == {"cleared": 1}
    assert take.take(bob, "index").allowed
    assert call("PATCH", f"limits/limits/{made['id']}/", {"rate": "9/hour"}).json()["rate"] == "9/hour"
    assert call("DELETE", f"limits/plans/{Plan.objects.get().pk}/").status_code == 204

    actors = set(Change.objects.values_list("actor", flat=True))
    assert len(actors) == 1
    assert actors.pop().startswith("root")
    gone = Change.objects.first()
    assert [row["rate"] for row in gone.before["limits"]] == ["9/hour"]
    assert [row["subject"] for row in gone.before["assignments"]] == ["user:77"]


def test_life_of_a_ban(call, client):
    """Begun, extended, shortened, lifted."""
    eve = Caller(address="192.0.2.66")
    body = {"subject": "addr:192.0.2.66", "reason": "floods", "until": in_an_hour()}
    made = call("POST", "limits/bans/", body).json()
    plans.reset()
    assert made["in_force"]
    assert take.take(eve, "index").banned_for > 0
    sooner = (timezone.now() + timedelta(minutes=5)).isoformat()
    assert call("PATCH", f"limits/bans/{made['id']}/", {"until": sooner}).status_code == 200
    assert bans.running([Ban.objects.get()])[0][1] < 301
    assert call("POST", f"limits/bans/{made['id']}/lift/").status_code == 204
    assert call("GET", f"limits/bans/{made['id']}/").json()["lifted_by"].startswith("root")
    assert take.take(eve, "index").allowed


INVALID = [
    ("plans", {}, "name"),
    ("plans", {"name": ""}, "name"),
    ("plans", {"name": "Not a slug"}, "name"),
    ("plans", {"name": "x" * 51}, "name"),
    ("plans", {"name": ["a"]}, "name"),
    ("plans", {"name": "team"}, "name"),
    ("plans", {"name": "nul\0"}, "name"),
    ("plans", {"name": "ci", "description": "x" * 301}, "description"),
    ("limits", {"plan": "team", "name": "x", "rate": "lots"}, "rate"),
    ("limits", {"plan": "team", "name": "x", "rate": "-5/hour"}, "rate"),
    ("limits", {"plan": "team", "name": "x", "rate": f"{10**30}/hour"}, "rate"),
    ("limits", {"plan": "team", "name": "x", "rate": "9" * 200}, "rate"),
    ("limits", {"plan": "team", "name": "x", "rate": ["5/hour"]}, "rate"),
    ("limits", {"plan": "team", "name": "x", "rate": "5/hour delay=99s"}, "rate"),
    ("limits", {"plan": "nowhere", "name": "x", "rate": "1/hour"}, "plan"),
    ("limits", {"plan": "nul\0", "name": "x", "rate": "1/hour"}, "plan"),
    ("limits", {"plan": "x" * 100_000, "name": "x", "rate": "1/hour"}, "plan"),
    ("limits", {"plan": ["team"], "name": "x", "rate": "1/hour"}, "plan"),
    ("limits", {"plan": {"name": "team"}, "name": "x", "rate": "1/hour"}, "plan"),
    ("limits", {"plan": 7, "name": "x", "rate": "1/hour"}, "plan"),
    ("limits", {"plan": None, "name": "x", "rate": "1/hour"}, "plan"),
    ("limits", {"name": "x", "rate": "1/hour"}, "plan"),
    ("limits", {"plan": "team", "name": "x", "rate": "1/hour", "scopes": "pages"}, "scopes"),
    ("limits", {"plan": "team", "name": "x", "rate": "1/hour", "scopes": ["index"]}, "scopes"),
    ("limits", {"plan": "team", "name": "x", "rate": "1/hour", "scopes": "breach"}, "ban_seconds"),
    ("limits", {"plan": "team", "name": "x", "rate": "1/hour", "ban_seconds": 10**30}, "ban_seconds"),
    ("limits", {"plan": "team", "name": "x", "rate": "1/hour", "ban_seconds": -1}, "ban_seconds"),
    ("limits", {"plan": "team", "name": "x", "rate": "1/hour", "mode": "maybe"}, "mode"),
    ("limits", {"plan": "team", "name": "x", "rate": "1/hour", "per": "planet"}, "per"),
    ("limits", {"plan": "team", "name": "x", "rate": "1/hour", "closed": "perhaps"}, "closed"),
    ("limits", {"plan": "team", "name": "pages", "rate": "1/hour"}, "unique"),
    ("assignments", {"plan": "team", "subject": "nobody"}, "subject"),
    ("assignments", {"plan": "team", "subject": "user:"}, "subject"),
    ("assignments", {"plan": "team", "subject": ["user:1"]}, "subject"),
    ("assignments", {"plan": "team", "subject": "user:" + "x" * 1_000}, "subject"),
    ("assignments", {"plan": "team", "subject": "users", "order": 10**30}, "order"),
    ("assignments", {"plan": "team", "subject": "users", "order": -1}, "order"),
    ("exemptions", {"subject": "net:1.2.3.4/77"}, "subject"),
    ("exemptions", {"subject": "anon", "scopes": "everything"}, "scopes"),
    ("exemptions", {"subject": "anon", "expires_at": "tomorrow"}, "expires_at"),
    ("bans", {"subject": "everyone", "reason": "x", "until": "2099-01-01T00:00:00Z"}, "subject"),
    ("bans", {"subject": "user:1", "reason": "x", "until": "2001-01-01T00:00:00Z"}, "until"),
    ("bans", {"subject": "user:1", "reason": "x", "until": "9999-12-31T23:59:59Z"}, "until"),
    ("bans", {"subject": "user:1", "reason": "x"}, "until"),
    ("bans", {"subject": "user:1", "until": "2099-01-01T00:00:00Z"}, "reason"),
]


@pytest.mark.parametrize(("path", "body", "field"), INVALID)
def test_what_has_no_meaning_is_refused(call, team, path, body, field):
    """400 as problem details that name the field; nothing is stored and nothing recorded."""
    before = Change.objects.count()

    answer = call("POST", f"limits/{path}/", body)

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid"
    assert field in str(answer.json()["errors"])
    assert len(answer.content) < 2_000
    assert Change.objects.count() == before


@pytest.mark.parametrize("body", [[], "text", 7, None, [{"name": "x"}]])
def test_bodies_that_are_no_objects(call, body):
    """400, whatever JSON it is."""
    assert call("POST", "limits/plans/", body).status_code == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("plans/?search=%00", 400),
        ("plans/?name=%00", 400),
        ("limits/?mode=maybe", 400),
        ("bans/?automatic=perhaps", 200),
        ("plans/99999/", 404),
        (f"plans/{10**30}/", 404),
        ("plans/x/", 404),
        ("plans/?page=99", 404),
    ],
)
def test_addresses_and_filters_without_meaning(call, team, query, status):
    """Never a fault of the server."""
    assert call("GET", f"limits/{query}").status_code == status


FILTERS = [
    ("plans/?name=team", 1),
    ("plans/?search=tea", 1),
    ("limits/?plan__name=team", 1),
    ("limits/?mode=shadow", 0),
    ("limits/?search=2/hour", 1),
    ("assignments/?plan__name=team", 2),
    ("assignments/?subject=users", 1),
    ("exemptions/?subject=net:10.0.0.0/8", 1),
    ("bans/?subject=user:900005", 1),
    ("bans/?automatic=true", 1),
    ("changes/?action=add", 6),
    ("changes/?actor=test&search=assignment", 2),
]


@pytest.mark.parametrize(("query", "count"), FILTERS)
def test_filters(call, team, query, count):
    """Each filter of each list."""
    for subject in ("users", "user:900005"):
        services.save(Assignment(plan=team, subject=subject), actor="test")
    services.save(Exemption(subject="net:10.0.0.0/8"), actor="test")
    services.save(Ban(subject="user:900005", reason="x", until=timezone.now() + timedelta(hours=1)), actor="test")
    services.record_ban("user:900006", "y", 60)

    assert call("GET", f"limits/{query}").json()["count"] == count


@pytest.mark.parametrize("path", LISTS)
def test_lists_ask_two_queries_however_long(call, path):
    """A count and a page; pages hold every row once."""
    for number in range(5):
        plan = Plan(name=f"plan-{number}")
        services.save(plan, actor="test")
        services.save(Limit(plan=plan, name="a", rate="5/hour", scopes="login"), actor="test")
        services.save(Assignment(plan=plan, subject="users"), actor="test")
        services.save(Exemption(subject=f"user:{number}"), actor="test")
        services.record_ban(f"user:{number}", "x", 60)
    call("GET", "whoami/")

    with CaptureQueriesContext(connection) as queries:
        page = call("GET", f"limits/{path}/?page_size=2").json()

    assert len(queries) == 2, [query["sql"] for query in queries]
    assert len(page["results"]) == 2
    seen, follow = [], f"limits/{path}/?page_size=2"
    while follow:
        rows = call("GET", follow).json()
        seen += [row["id"] for row in rows["results"]]
        follow = rows["next"] and rows["next"].split("/api/v1/")[1]
    assert len(seen) == len(set(seen)) == page["count"]


def test_the_schema_knows_every_address(tmp_path):
    """Actions with what they take and give."""
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"))

    text = (tmp_path / "schema.yaml").read_text()
    assert all(f"/api/v1/limits/{path}/" in text for path in LISTS)
    assert all(f"/{action}/:" in text for action in ("usage", "reset", "lift"))
    assert "Cleared" in text
