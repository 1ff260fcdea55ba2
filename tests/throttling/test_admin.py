"""The admin, the REST API and the list of changes."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.test import APIClient

from throttling import plans, services, signals, take
from throttling.models import Assignment, Ban, Change, Exemption, Limit, Plan
from throttling.subjects import Caller

pytestmark = [pytest.mark.urls("tests.throttling.urls"), pytest.mark.django_db(transaction=True)]
BOB = Caller(user="2", address="192.0.2.2")


@pytest.fixture
def boss():
    return get_user_model().objects.create_superuser("boss", "boss@example.org", "boss-password")


@pytest.fixture
def page(client, boss):
    client.force_login(boss)
    return client


@pytest.fixture
def rest(boss):
    client = APIClient()
    client.force_authenticate(boss)
    return client


def form(plan=None, **more):
    limit = {"name": "burst", "rate": "5/hour", "scopes": "", "per": "caller", "mode": "enforce", "ban_seconds": "0"}
    data = {"name": "team", "description": "", "limits-TOTAL_FORMS": "1", "limits-INITIAL_FORMS": "0"}
    data |= {f"limits-0-{key}": value for key, value in (limit | more).items()}
    data |= {"assignments-TOTAL_FORMS": "1", "assignments-INITIAL_FORMS": "0", "assignments-0-subject": "user:2"}
    return data | {"assignments-0-order": "100"}


def test_a_plan_made_in_the_admin_holds_at_once(page):
    """Plan, limit and assignment in one form; each leaves a row in the list of changes."""
    assert page.post("/admin/throttling/plan/add/", form()).status_code == 302
    assert [take.take(BOB, "api").allowed for _ in range(6)] == [True] * 5 + [False]
    assert sorted(Change.objects.values_list("actor", "action", "target")) == [
        ("boss", "add", "assignment user:2 → team"),
        ("boss", "add", "limit team/burst"),
        ("boss", "add", "plan team"),
    ]


def test_a_change_in_the_admin_says_what_it_was_before(page, plan):
    """Before and after, and a signal for projects that audit."""
    heard = []
    signals.changed.connect(lambda **kw: heard.append((kw["actor"], kw["action"])), weak=False, dispatch_uid="t")
    row = plan("user:2", burst="5/hour")
    limit = row.limits.get()
    data = form() | {"name": row.name, "limits-INITIAL_FORMS": "1", "limits-0-id": limit.pk, "limits-0-plan": row.pk}
    data |= {"limits-0-rate": "1/hour", "limits-0-extend": "on", "assignments-TOTAL_FORMS": "0"}
    try:
        assert page.post(f"/admin/throttling/plan/{row.pk}/change/", data).status_code == 302
    finally:
        signals.changed.disconnect(dispatch_uid="t")
    change = Change.objects.first()
    assert (change.before["rate"], change.after["rate"], change.action) == ("5/hour", "1/hour", "change")
    assert heard[-1] == ("boss", "change")
    assert Change.objects.filter(actor="boss").count() == 1


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("rate", "lots", "is not a limit"),
        ("rate", "5/hour delay=99s", "at most 10 s"),
        ("name", "No Spaces", "Lower-case"),
        ("ban_seconds", "99999999", "less than or equal"),
        ("scopes", "breach", "say for how long"),
        ("mode", "maybe", "not one of the available"),
    ],
)
def test_the_admin_refuses_what_has_no_meaning(page, field, value, why):
    """With the reason beside the field, and nothing stored."""
    response = page.post("/admin/throttling/plan/add/", form(**{field: value}))
    assert why in response.content.decode()
    assert not Plan.objects.exists()


def test_live_usage_and_reset_in_the_admin(page, plan):
    """How much is used stands beside the assignment; the action makes it nothing."""
    row = plan("user:2", day="5/day calendar")
    for _ in range(3):
        take.take(BOB, "api")
    assert "day: 3 of 5" in page.get("/admin/throttling/assignment/").content.decode()
    pk = row.assignments.get().pk
    page.post("/admin/throttling/assignment/", {"action": "reset_usage", "_selected_action": [pk]})
    assert "day: 0 of 5" in page.get("/admin/throttling/assignment/").content.decode()
    assert "refused" in page.get(f"/admin/throttling/plan/{row.pk}/change/").content.decode()


def test_bans_are_listed_and_lifted_in_the_admin(page, plan):
    """In force with seconds left, lifted by one click, and then let in."""
    plan("anon", site={"rate": "1/hour", "ban_seconds": 60})
    eve = Caller(address="192.0.2.66")
    for _ in range(2):
        take.take(eve, "api")
    assert "in force, 60 s left" in page.get("/admin/throttling/ban/").content.decode()
    page.post("/admin/throttling/ban/", {"action": "lift", "_selected_action": [Ban.objects.get().pk]})
    assert "lifted" in page.get("/admin/throttling/ban/").content.decode()
    assert take.take(eve, "api").banned_for == 0


def test_deleting_in_the_admin_is_recorded(page, plan):
    """One and many."""
    row = plan("user:2", burst="1/hour")
    page.post(f"/admin/throttling/assignment/{row.assignments.get().pk}/delete/", {"post": "yes"})
    page.post("/admin/throttling/plan/", {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert not Plan.objects.exists()
    assert not Assignment.objects.exists()
    assert Change.objects.filter(actor="boss", action="delete").count() == 2
    assert take.take(BOB, "api").free


@pytest.mark.parametrize("path", ["plan", "assignment", "exemption", "ban", "change"])
def test_every_page_of_the_admin_opens(page, plan, path):
    """Lists and, where something can be added, the empty form."""
    plan("user:2", burst="1/hour")
    assert page.get(f"/admin/throttling/{path}/").status_code == 200
    assert page.get(f"/admin/throttling/{path}/add/").status_code == (403 if path == "change" else 200)


def test_history_cannot_be_changed(page, plan):
    """Changes are read only, also for a superuser."""
    plan("user:2", burst="1/hour")
    pk = Change.objects.first().pk
    assert page.post(f"/admin/throttling/change/{pk}/change/", {"actor": "x"}).status_code == 403
    assert page.post(f"/admin/throttling/change/{pk}/delete/", {"post": "yes"}).status_code == 403


def test_saving_without_a_difference_records_nothing(plan):
    """The revision stands, no process compiles anew."""
    row = plan("user:2", burst="1/hour")
    before = Change.objects.count()
    assert services.save(row, actor="ann") is False
    assert Change.objects.count() == before


def test_rest_plans_limits_and_assignments(rest):
    """Made, changed and removed over REST, recorded under the user's name."""
    assert rest.post("/api/limits/plans/", {"name": "ci"}, format="json").status_code == 201
    made = rest.post("/api/limits/limits/", {"plan": "ci", "name": "burst", "rate": "2/hour"}, format="json")
    assert made.status_code == 201
    subject = rest.post("/api/limits/assignments/", {"plan": "ci", "subject": "user:2"}, format="json").json()
    assert [take.take(BOB, "api").allowed for _ in range(3)] == [True, True, False]
    shown = rest.get(f"/api/limits/assignments/{subject['id']}/usage/").json()["limits"]
    assert (shown[0]["name"], shown[0]["used"]) == ("burst", 2)
    assert rest.post(f"/api/limits/assignments/{subject['id']}/reset/").json() == {"cleared": 1}
    assert take.take(BOB, "api").allowed
    changed = rest.patch(f"/api/limits/limits/{made.json()['id']}/", {"rate": "500/hour"}, format="json")
    assert changed.json()["rate"] == "500/hour"
    assert rest.delete(f"/api/limits/limits/{made.json()['id']}/").status_code == 204
    assert set(Change.objects.values_list("actor", flat=True)) == {"boss"}
    assert rest.get("/api/limits/changes/").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("plans", {"name": "Not a slug"}, "name"),
        ("limits", {"plan": "ci", "name": "x", "rate": "lots"}, "rate"),
        ("limits", {"plan": "nowhere", "name": "x", "rate": "1/hour"}, "plan"),
        ("limits", {"plan": "ci", "name": "x", "rate": "1/hour", "scopes": "breach"}, "ban_seconds"),
        ("assignments", {"plan": "ci", "subject": "nobody"}, "subject"),
        ("exemptions", {"subject": "net:1.2.3.4/77"}, "subject"),
        ("bans", {"subject": "everyone", "reason": "x", "until": "2099-01-01T00:00:00Z"}, "subject"),
    ],
)
def test_rest_refuses_with_the_field(rest, path, body, field):
    """400 and the field that is wrong."""
    services.save(Plan(name="ci"), actor="test")
    response = rest.post(f"/api/limits/{path}/", body, format="json")
    assert response.status_code == 400
    assert field in str(response.content)


def test_rest_bans(rest):
    """Banned and lifted by REST."""
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    made = rest.post("/api/limits/bans/", {"subject": "user:2", "reason": "enough", "until": until}, format="json")
    assert made.json()["in_force"] is True
    assert take.take(BOB, "api").banned_for > 0
    assert rest.post(f"/api/limits/bans/{made.json()['id']}/lift/").status_code == 204
    assert take.take(BOB, "api").allowed


def test_rest_is_for_administrators(plan):
    """Others see their own usage and nothing else."""
    user = get_user_model().objects.create_user("ann")
    plan(f"user:{user.pk}", day="5/day calendar")
    client = APIClient()
    client.force_authenticate(user)
    assert client.get("/api/limits/plans/").status_code == 403
    take.take(Caller(user=str(user.pk)), "api")
    for _ in range(5):
        limits = client.get("/api/usage/").json()["limits"]
    assert [(row["name"], row["used"], row["remaining"]) for row in limits] == [("day", 1, 4)]
    assert 0 < limits[0]["resets_in"] <= 86_400


def test_models_have_words_for_people(plan):
    """What lists and messages show."""
    row = plan("user:2", burst="5/hour")
    services.save(Exemption(subject="anon"), actor="test")
    assert [str(row), str(row.limits.get()), str(Exemption.objects.get())] == [row.name, f"{row.name}/burst", "anon"]


def test_a_row_that_cannot_be_used_does_not_stop_the_others(plan):
    """A rate that was written around the checks is logged and left out."""
    row = plan("user:2", bad="5/hour", good="7/hour")
    Limit.objects.filter(name="bad").update(rate="nonsense")
    plans.reset()
    assert [result.limit.name for result in take.take(BOB, "api").results] == ["good"]
    assert row
