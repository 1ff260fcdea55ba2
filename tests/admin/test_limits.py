"""The admin of the limits with the product's users: live usage, reset, lift, mistakes, history, and what it costs."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pkgindex.audit.models import AuditEntry
from throttling import plans, services, take
from throttling.models import Assignment, Ban, Change, Exemption, Limit, Plan
from throttling.subjects import Caller

pytestmark = pytest.mark.django_db(transaction=True)
AT = "/admin/throttling"


def form(rate: str = "5/hour", **more: str) -> dict[str, str]:
    """The page of a new plan with one limit and one assignment."""
    limit = {"name": "pages", "rate": rate, "scopes": "index", "per": "caller", "mode": "enforce", "ban_seconds": "0"}
    data = {"name": "team", "description": "", "limits-TOTAL_FORMS": "1", "limits-INITIAL_FORMS": "0"}
    data |= {f"limits-0-{key}": value for key, value in (limit | more).items()}
    data |= {"assignments-TOTAL_FORMS": "1", "assignments-INITIAL_FORMS": "0", "assignments-0-subject": "user:7"}
    return data | {"assignments-0-order": "100"}


@pytest.fixture
def team():
    """A plan of user 7."""
    plan = Plan(name="team")
    services.save(plan, actor="test")
    services.save(Limit(plan=plan, name="pages", rate="5/hour", scopes="index"), actor="test")
    services.save(Assignment(plan=plan, subject="user:7"), actor="test")
    plans.reset()
    return plan


def test_the_index_page_has_a_place_for_them(root):
    """One section with everything that can be changed, and what was."""
    text = root.get("/admin/").content.decode()

    assert "Traffic limits" in text
    assert all(f"{AT}/{name}/" in text for name in ("plan", "assignment", "exemption", "ban", "change"))


def test_a_plan_is_made_changed_and_recorded(root, admin_user):
    """In force at once; Changes, the audit trail and Django's own history know who it was."""
    assert root.post(f"{AT}/plan/add/", form("2/hour")).status_code == 302
    plan, limit = Plan.objects.get(), Limit.objects.get()
    assert [take.take(Caller(user="7"), "index").allowed for _ in range(3)] == [True, True, False]

    data = form("9/hour") | {"limits-INITIAL_FORMS": "1", "limits-0-id": str(limit.pk), "limits-0-plan": str(plan.pk)}
    data |= {"limits-0-extend": "on", "assignments-TOTAL_FORMS": "0"}
    assert root.post(f"{AT}/plan/{plan.pk}/change/", data).status_code == 302

    assert set(Change.objects.values_list("actor", flat=True)) == {"root in the admin"}
    entry = AuditEntry.objects.get(action="change limit")
    assert (entry.actor, entry.ip, entry.detail["after"]["rate"]) == (admin_user, "127.0.0.1", "9/hour")
    assert root.get(f"{AT}/plan/{plan.pk}/history/").status_code == 200
    assert "2/hour" in root.get(f"{AT}/change/{Change.objects.first().pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"rate": "lots"}, "is not a limit"),
        ({"rate": "9" * 121}, "at most 120"),
        ({"scopes": "pages"}, "There is no scope"),
        ({"scopes": "breach"}, "say for how long"),
        ({"ban_seconds": str(10**12)}, "less than or equal"),
        ({"name": "No Spaces"}, "Lower-case"),
        ({"mode": "maybe"}, "not one of the available"),
    ],
)
def test_mistakes_are_told_beside_the_field(root, fields, why):
    """And nothing is stored."""
    assert why in root.post(f"{AT}/plan/add/", form(**fields)).content.decode()
    assert not Plan.objects.exists()


@pytest.mark.parametrize("subject", ["nobody", "user:", "net:1.2.3.4/99", "addr:x"])
def test_subjects_that_are_nobody(root, team, subject):
    """The sentence says what would be somebody."""
    answer = root.post(f"{AT}/exemption/add/", {"subject": subject})

    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not Exemption.objects.exists()


def test_live_usage_and_a_fresh_start(root, team):
    """Used and quota stand beside the assignment; the action empties them and lifts bans."""
    for _ in range(3):
        take.take(Caller(user="7"), "index")
    services.save(Ban(subject="user:7", reason="x", until=timezone.now() + timedelta(hours=1)), actor="test")
    assert "pages: 3 of 5" in root.get(f"{AT}/assignment/").content.decode()

    pk = team.assignments.get().pk
    done = root.post(f"{AT}/assignment/", {"action": "reset_usage", "_selected_action": [pk]}, follow=True)

    assert "1 subjects start afresh" in done.content.decode()
    assert "pages: 0 of 5" in done.content.decode()
    assert take.take(Caller(user="7"), "index").allowed
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))[-2:]
    assert actions == ["reset usage", "lift ban"]


def test_bans_are_lifted(root, team):
    """With what is left of them before, and who lifted them afterwards."""
    services.save(Ban(subject="addr:192.0.2.6", reason="x", until=timezone.now() + timedelta(hours=1)), actor="test")
    assert "in force, 3600 s left" in root.get(f"{AT}/ban/").content.decode()

    root.post(f"{AT}/ban/", {"action": "lift", "_selected_action": [Ban.objects.get().pk]})

    assert "root in the admin" in root.get(f"{AT}/ban/").content.decode()
    assert take.take(Caller(address="192.0.2.6"), "index").allowed


def test_history_is_read_only(root, team):
    """Also for a superuser."""
    pk = Change.objects.first().pk
    assert root.get(f"{AT}/change/add/").status_code == 403
    assert root.post(f"{AT}/change/{pk}/change/", {"actor": "x"}).status_code == 403
    assert root.post(f"{AT}/change/{pk}/delete/", {"post": "yes"}).status_code == 403


def test_staff_see_and_do_what_their_permissions_say(staff, team):
    """Looking gives no action."""
    browser = staff("view_assignment", "view_ban")

    assert browser.get(f"{AT}/assignment/").status_code == 200
    assert browser.get(f"{AT}/plan/").status_code == 403
    pk = team.assignments.get().pk
    browser.post(f"{AT}/assignment/", {"action": "reset_usage", "_selected_action": [pk]})
    assert not Change.objects.filter(action="reset").exists()


@pytest.mark.parametrize("name", ["plan", "assignment", "exemption", "ban", "change"])
def test_lists_cost_the_same_however_long(root, team, name):
    """No query per row."""

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert root.get(f"{AT}/{name}/").status_code == 200
        return len(seen)

    services.save(Exemption(subject="anon"), actor="test")
    services.record_ban("user:1", "x", 60)
    few = queries()
    for number in range(5):
        plan = Plan(name=f"plan-{number}")
        services.save(plan, actor="test")
        services.save(Limit(plan=plan, name="a", rate="5/hour"), actor="test")
        services.save(Assignment(plan=plan, subject=f"user:{number}"), actor="test")
        services.save(Exemption(subject=f"user:{number}"), actor="test")
        services.record_ban(f"user:{number}", "x", 60)
    plans.current()

    assert queries() <= few + 1  # one more where a process looks whether the plans changed


def test_the_store_may_be_away(root, team, redis_server):
    """Pages open and say what is known."""
    redis_server.stop()
    try:
        for name in ("plan", "assignment", "ban"):
            assert root.get(f"{AT}/{name}/").status_code == 200
        assert root.get(f"{AT}/plan/{team.pk}/change/").status_code == 200
        assert root.post(f"{AT}/exemption/add/", {"subject": "user:9"}).status_code == 302
    finally:
        redis_server.start()
