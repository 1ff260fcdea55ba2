"""`manage.py limits`, and plans as a file."""

import io

import pytest
from django.core.management import CommandError, call_command

from throttling import take
from throttling.models import Assignment, Change, Exemption, Limit, Plan
from throttling.subjects import Caller

pytestmark = pytest.mark.django_db(transaction=True)
BOB = Caller(user="2", address="192.0.2.2")

FILE = """
[plans.standard]
description = "Everybody"
assign = ["users", {subject = "group:3", order = 5, note = "team"}]

[plans.standard.limits]
burst = "600/minute burst=1000 delay=2s"
month = {rate = "100GB/month calendar", scopes = ["download"], mode = "shadow"}

[plans.anonymous]
assign = ["anon"]
limits.site = {rate = "50/second", ban_seconds = 10}

[[exemptions]]
subject = "net:10.1.2.3/8"
note = "offices"
"""


def run(*words):
    out = io.StringIO()
    call_command("limits", *words, stdout=out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "plans.toml"
    path.write_text(FILE)
    return path


def test_apply_is_idempotent_and_shows_the_difference(file):
    """The first time everything is new; the second time nothing differs; then only what was edited."""
    assert run("apply", str(file)).splitlines() == [
        "+ plan standard",
        "+ limit standard/burst 600/minute burst=1000 delay=2s",
        "+ limit standard/month 100GB/month calendar",
        "+ assignment users to standard",
        "+ assignment group:3 to standard",
        "+ plan anonymous",
        "+ limit anonymous/site 50/second",
        "+ assignment anon to anonymous",
        "+ exemption net:10.0.0.0/8",
    ]
    changes = Change.objects.count()
    assert run("apply", str(file)) == "Nothing differs.\n"
    assert Change.objects.count() == changes
    file.write_text(FILE.replace("600/minute", "60/minute").replace('assign = ["anon"]', ""))
    assert run("apply", str(file)).splitlines() == [
        "~ limit standard/burst 60/minute burst=1000 delay=2s",
        "- assignment anon → anonymous",
    ]


def test_a_dry_run_changes_nothing(file):
    """The difference is shown, the rows stand."""
    assert "+ plan standard" in run("apply", str(file), "--dry-run")
    assert not Plan.objects.exists()
    assert not Change.objects.exists()


def test_prune_removes_what_the_file_does_not_name(file):
    """Only when the file says so."""
    Plan.objects.create(name="old")
    Exemption.objects.create(subject="user:9")
    run("apply", str(file))
    assert Plan.objects.count() == 3
    file.write_text("prune = true\n" + FILE)
    assert run("apply", str(file)).splitlines() == ["- plan old", "- exemption user:9"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("plans = [", "no TOML"),
        ("plan = 3", "not plan"),
        ("plans = 3", r"\[plans.NAME\]"),
        ('[plans.x]\nlimits.a = "lots"', "plan x: rate: 'lots' is not a limit"),
        ('[plans.x]\nlimits.a = {rate = "1/hour", shape = 3}', "shape is unknown"),
        ('[plans.x]\nlimits.a = {mode = "shadow"}', "rate"),
        ('[plans.x]\nassign = ["nobody"]', "names|no subject"),
        ("[plans.x]\nlimits = 3", "plan x"),
        ('[plans."A B"]', "Lower-case"),
        ('[[exemptions]]\nnote = "x"', "subject is missing"),
        ("exemptions = [3]", "exemption 3"),
    ],
)
def test_a_bad_file_is_refused_whole(tmp_path, text, why):
    """Every fault with its place, and no row touched."""
    path = tmp_path / "bad.toml"
    path.write_text('[plans.fine]\nlimits.a = "1/hour"\n' + text if text.startswith("[") else text)
    with pytest.raises(CommandError, match=why):
        run("apply", str(path))
    assert not Plan.objects.exists()


def test_a_file_that_is_not_there():
    """A sentence, no traceback."""
    with pytest.raises(CommandError, match="No such file"):
        run("apply", "/nowhere/plans.toml")


def test_list_show_and_clear(plan):
    """What there is, how one stands, and a fresh start."""
    plan("user:2", plan_name="team", day="5/day calendar")
    for _ in range(3):
        take.take(BOB, "api")
    assert "day: 5/day calendar (every scope, per caller, enforce; refused 0, would have refused 0)" in run("list")
    assert run("show", "user:2").startswith("day: 3 of 5 requests, whole again in ")
    assert run("clear", "user:2") == "1 counters cleared.\n"
    assert run("show", "user:2").startswith("day: 0 of 5")
    assert run("show", "token:77") == "No limit applies to token:77.\n"


def test_show_the_shared_bucket_of_a_network(plan):
    """What all of the network have used together."""
    plan("net:192.0.2.0/24", pool={"rate": "9/day calendar", "per": "assignee"})
    take.take(BOB, "api")
    assert run("show", "net:192.0.2.0/24").startswith("pool: 1 of 9")


def test_ban_list_and_lift():
    """By hand."""
    assert run("bans") == "Nobody is banned.\n"
    run("ban", "user:2", "10m", "enough")
    assert run("bans").startswith("user:2  600 s  enough")
    assert not take.take(BOB, "api").allowed
    assert run("lift", "user:2") == "1 bans lifted.\n"
    assert take.take(BOB, "api").allowed


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("show", "nobody"), "no subject"),
        (("ban", "user:2", "x", "y"), "not a time"),
        (("ban", "everyone", "1h", "y"), "A ban is for"),
    ],
)
def test_bad_words_are_refused(words, why):
    """A sentence, no traceback."""
    with pytest.raises(CommandError, match=why):
        run(*words)


def test_status():
    """Whether the store answers."""
    assert run("status") == "state closed\n"


def test_limits_and_assignments_are_what_the_file_said(file):
    """Every field arrives."""
    run("apply", str(file))
    month = Limit.objects.get(name="month")
    assert (month.scopes, month.mode, month.per) == ("download", "shadow", "caller")
    assert Assignment.objects.get(subject="group:3").order == 5
