"""The limits of a new installation: there once, met by no ordinary client, and met by whoever guesses."""

import time

import pytest
from django.core.management import call_command

from pkgindex.accounts.models import User
from pkgindex.quickstart import first
from throttling import filing, plans, services, take
from throttling.lines import Costs
from throttling.models import Change, Limit, Plan
from throttling.subjects import Caller

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ["guards", "members", "visitors"]


def names() -> list[str]:
    return list(Plan.objects.values_list("name", flat=True))


@pytest.fixture
def defaults():
    """The default plans, in force."""
    assert first.default_plans()
    plans.reset()


def test_a_new_database_gets_them_once():
    """Recorded like every change; a second time nothing is done."""
    assert first.default_plans()
    assert not first.default_plans()

    assert names() == NAMES
    assert set(Change.objects.values_list("actor", flat=True)) == {"new installation"}


def test_the_file_is_one_that_the_command_takes(capsys):
    """`limits apply` with the same file finds nothing to do."""
    first.default_plans()

    call_command("limits", "apply", str(first.DEFAULT_PLANS))

    assert capsys.readouterr().out == "Nothing differs.\n"


def test_what_the_operator_deleted_or_changed_stays_so():
    """One plan, every plan, a rate."""
    first.default_plans()
    services.remove(Plan.objects.get(name="visitors"), actor="ann")
    limit = Limit.objects.get(name="guesses")
    limit.rate = "3/hour"
    services.save(limit, actor="ann")

    assert not first.default_plans()
    assert (names(), Limit.objects.get(name="guesses").rate) == (["guards", "members"], "3/hour")
    for plan in Plan.objects.all():
        services.remove(plan, actor="ann")
    assert not first.default_plans()
    assert names() == []


@pytest.mark.parametrize("there", ["index", "user", "plan"])
def test_an_installation_that_is_in_use_is_not_surprised(request, there):
    """Upgraded, it has the limits that it had, or none."""
    if there == "index":
        request.getfixturevalue("index")
    elif there == "user":
        User.objects.create_user("ann")
    else:
        services.save(Plan(name="mine"), actor="ann")

    assert not first.default_plans()
    assert names() == (["mine"] if there == "plan" else [])


def test_a_crash_on_the_way_leaves_a_database_that_is_still_new(monkeypatch):
    """All of them or none."""
    real = filing.services.save
    made = []

    def save(row, **options):
        if len(made) == 5:
            raise RuntimeError
        made.append(row)
        return real(row, **options)

    monkeypatch.setattr(filing.services, "save", save)
    with pytest.raises(RuntimeError):
        first.default_plans()
    monkeypatch.undo()

    assert names() == []
    assert first.default_plans()


def burst(caller: Caller, counts: dict[str, int]) -> list[take.Decision]:
    found = []
    for scope, count in counts.items():
        costs = Costs(requests=0, size=5_000_000) if scope == "download" else take.ONE_REQUEST
        found += [take.take(caller, scope, costs) for _ in range(count)]
        if scope == "download":
            found += [take.take(caller, scope) for _ in range(count)]
    return found


def test_a_build_farm_of_one_user_is_neither_refused_nor_held_back(defaults):
    """2,000 pages, 2,000 metadata files and 500 downloads at once."""
    found = burst(
        Caller(user="7", token="1", address="192.0.2.1"), {"index": 2_000, "metadata": 2_000, "download": 500}
    )

    assert all(decision.allowed for decision in found)
    assert max(decision.delay_us for decision in found) == 0
    assert any(decision.charges for decision in found)


def test_far_beyond_that_requests_are_held_back_before_they_are_refused(defaults):
    """Past the burst each waits a little longer, by the rate's own bound at most."""
    limit = Limit.objects.get(plan__name="members", name="installs")
    limit.rate = "1000/second burst=100 delay=2s"
    services.save(limit, actor="ann")
    plans.reset()

    found = burst(Caller(user="7", address="192.0.2.1"), {"index": 1_000})

    assert all(decision.allowed for decision in found)
    assert 0 < max(decision.delay_us for decision in found) <= 2_000_000


def test_an_office_behind_one_address_may_look_around(defaults):
    """A hundred pages for people and two hundred pages of an installer, without an account."""
    found = burst(Caller(address="192.0.2.1"), {"web": 100, "index": 200})

    assert all(decision.allowed and decision.delay_us == 0 for decision in found)


def test_floods_are_banned_in_shadow_only(defaults):
    """Whoever exceeds every rate is told to wait, and by nobody's choice banned."""
    found = burst(Caller(address="192.0.2.1"), {"web": 1_200})

    assert not any(decision.banned_for for decision in found)


@pytest.mark.parametrize("path", ["/simple/", "/api/v1/usage/", "/api/v1/whoami/", "/metrics", "/"])
def test_guessing_is_slow_from_the_first_minute(client, defaults, people, basic, path, settings):
    """Thirty wrong passwords from one address meet 429, wherever they are tried; the right one passes."""
    settings.METRICS_NETWORKS = ()
    wrong = [client.get(path, **basic("reader", f"wrong-{number}")).status_code for number in range(30)]

    assert wrong.count(429) >= 10
    assert set(wrong[:10]) == {401}
    assert client.get("/simple/", **basic("reader", "reader-password")).status_code == 200


def test_guessing_in_the_form_is_slow_too(client, defaults, people):
    """The sign-in page as well."""
    wrong = [client.post("/login/", {"username": "reader", "password": f"x{i}"}).status_code for i in range(30)]

    assert wrong.count(429) >= 8
    right = client.post("/login/", {"username": "reader", "password": "reader-password"})
    assert right.status_code == 302


def test_one_decision_of_the_defaults_costs_one_round_trip(defaults):
    """All limits of the plan in one call."""
    caller = Caller(user="7", address="192.0.2.1")
    take.take(caller, "index")
    started = time.perf_counter()
    decision = take.take(caller, "index")
    assert time.perf_counter() - started < 0.5
    assert [result.limit.name for result in decision.results] == ["installs"]
