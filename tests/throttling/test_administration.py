"""Who administers limits and under which name, which scope words there are, and bans that people edit."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework.permissions import BasePermission
from rest_framework.test import APIClient

from throttling import onrequest, services, signals, take
from throttling.models import Assignment, Ban, Change, Exemption, Limit, Plan
from throttling.subjects import Caller

pytestmark = [pytest.mark.urls("tests.throttling.urls"), pytest.mark.django_db(transaction=True)]
EVE = Caller(address="192.0.2.66")


class Nobody(BasePermission):
    """Lets nobody in."""

    def has_permission(self, request, view):
        return False


def the_desk(request):
    """A name for everybody."""
    return f"{request.user} at the desk"


@pytest.fixture
def rest():
    client = APIClient()
    client.force_authenticate(get_user_model().objects.create_superuser("boss", "boss@example.org", "boss-password"))
    return client


@pytest.mark.parametrize("path", ["plans", "limits", "assignments", "exemptions", "bans", "changes"])
def test_the_project_says_who_administers(rest, settings, path):
    """ADMIN_PERMISSION replaces REST framework's own on every view, from one request to the next."""
    assert rest.get(f"/api/limits/{path}/").status_code == 200
    settings.THROTTLING = {"ADMIN_PERMISSION": "tests.throttling.test_administration.Nobody"}
    assert rest.get(f"/api/limits/{path}/").status_code == 403
    assert rest.post(f"/api/limits/{path}/", {}, format="json").status_code == 403


def test_the_project_says_who_it_was(rest, client, settings):
    """ACTOR names the author over REST and in the admin."""
    settings.THROTTLING = {"ACTOR": "tests.throttling.test_administration.the_desk"}
    assert rest.post("/api/limits/plans/", {"name": "ci"}, format="json").status_code == 201
    client.force_login(get_user_model().objects.get())
    assert client.post("/admin/throttling/exemption/add/", {"subject": "anon"}).status_code == 302
    assert set(Change.objects.values_list("actor", flat=True)) == {"boss at the desk"}


@pytest.mark.parametrize("name", ["ACTOR", "ADMIN_PERMISSION"])
def test_a_path_that_leads_nowhere_is_told_at_start(settings, name):
    """By a check, and not by the first request."""
    settings.THROTTLING = {name: "nowhere.at_all"}
    assert [found.id for found in run_checks(tags=["throttling"])] == ["throttling.E005"]


@pytest.mark.parametrize(("word", "known"), [("api", True), ("login", True), ("", True), ("pages", False)])
def test_scope_words_are_those_that_the_project_names(settings, word, known):
    """Of limits and of exemptions; the scopes that every project has are words too."""
    settings.THROTTLING = {"SCOPES": {"api": "calls"}}
    plan = Plan.objects.create(name="p")
    for row in (Limit(plan=plan, name="l", rate="5/hour", scopes=word), Exemption(subject="anon", scopes=word)):
        if known:
            row.full_clean()
        else:
            with pytest.raises(ValidationError, match="There is no scope"):
                row.full_clean()


def test_the_plan_of_rest_framework_s_throttles_has_scopes_of_its_own(settings):
    """They are those that views name."""
    settings.THROTTLING = {"SCOPES": {"api": "calls"}}
    Limit(plan=Plan.objects.create(name="drf"), name="l", rate="5/hour", scopes="uploads").full_clean()


def test_an_edited_ban_holds_as_edited():
    """Shortened it ends sooner; corrected to another subject it leaves the first one alone."""
    ban = Ban(subject="addr:192.0.2.66", reason="x", until=timezone.now() + timedelta(days=1))
    services.save(ban, actor="ann")
    assert take.take(EVE, "api").banned_for > 80_000_000_000
    ban.until = timezone.now() + timedelta(minutes=1)
    services.save(ban, actor="ann")
    assert 0 < take.take(EVE, "api").banned_for <= 60_000_000
    ban.subject = "addr:192.0.2.67"
    services.save(ban, actor="ann")
    assert take.take(EVE, "api").allowed
    assert take.take(Caller(address="192.0.2.67"), "api").banned_for > 0


def test_a_deleted_plan_is_recorded_with_what_went_with_it(plan):
    """The record is the only place that still knows."""
    row = plan("user:2", burst="5/hour")
    services.remove(row, actor="ann")
    before = Change.objects.first().before
    assert [limit["rate"] for limit in before["limits"]] == ["5/hour"]
    assert [one["subject"] for one in before["assignments"]] == ["user:2"]
    assert not Assignment.objects.exists()


def test_delays_are_told_before_they_begin(plan, rf):
    """Once for each request that is held back; one that passes at once is told to nobody."""
    plan("anon", pace="20/second burst=1 delay=1s")
    heard = []
    signals.delayed.connect(lambda decision, **_: heard.append(decision.delay_us), weak=False, dispatch_uid="t")
    try:
        for _ in range(2):
            onrequest.decide(rf.get("/"), EVE, "api", take.ONE_REQUEST)
    finally:
        signals.delayed.disconnect(dispatch_uid="t")
    assert len(heard) == 1
    assert 0 < heard[0] <= 50_000
