"""What mod_evasive does, for all processes: bans for bursts, for failed logins and for breaches, told once."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core import mail

from throttling import bans, notices, plans, services, signals, take
from throttling import store as the_store
from throttling.guards import LoginGuard
from throttling.lines import ban_key
from throttling.models import Ban, Change, Exemption
from throttling.subjects import Caller

pytestmark = pytest.mark.django_db(transaction=True)
EVE = Caller(address="192.0.2.66")
BOB = Caller(user="2", address="192.0.2.66")


def allowed(caller, times=1, **more):
    return [take.take(caller, "api", **more).allowed for _ in range(times)]


def test_a_burst_on_one_url_bans_from_the_whole_site(plan):
    """DOSPageCount: more than two of one URL in a second, then nothing at all for the blocking period."""
    plan("anon", page={"rate": "2/second", "per_resource": True, "ban_seconds": 60})
    assert allowed(EVE, 2, resource="/a") + allowed(EVE, 2, resource="/b") == [True] * 4
    assert allowed(EVE, 1, resource="/a") == [False]
    refused = take.take(EVE, "api", resource="/c")
    assert not refused.allowed
    assert 59_000_000 < refused.banned_for <= 60_000_000


def test_a_burst_on_the_whole_site_bans(plan):
    """DOSSiteCount: any URL."""
    plan("anon", site={"rate": "5/second", "ban_seconds": 60})
    assert [take.take(EVE, "api", resource=f"/{i}").allowed for i in range(7)] == [True] * 5 + [False] * 2
    assert Ban.objects.get().subject == "addr:192.0.2.66"


def test_every_attempt_extends_the_block(plan):
    """Who keeps on is kept out; who waits is let in."""
    plan("anon", site={"rate": "1/minute", "ban_seconds": 1})
    allowed(EVE, 2)
    for _ in range(4):
        time.sleep(0.5)
        assert allowed(EVE) == [False]
    assert the_store.get().banned_for(ban_key("addr:192.0.2.66")) > 800_000


def test_a_ban_is_seen_by_every_process_at_once(plan):
    """Nothing of it is in this process: a fresh store and a fresh snapshot know."""
    plan("anon", site={"rate": "1/minute", "ban_seconds": 60})
    allowed(EVE, 2)
    the_store.reset()
    plans.reset()
    assert take.take(EVE, "other").banned_for > 0


def test_a_ban_outlives_a_flushed_store(plan):
    """The row is enough until the ban's own end."""
    from tests.throttling.stores import redis_client

    plan("anon", site={"rate": "1/minute", "ban_seconds": 60})
    allowed(EVE, 2)
    redis_client().flushdb()
    plans.reset()
    assert take.take(EVE, "api").banned_for > 0


def test_who_has_said_who_they_are_does_not_suffer_for_their_address(plan):
    """A ban of the address does not stop a user behind it."""
    plan("anon", site={"rate": "1/minute", "ban_seconds": 60})
    allowed(EVE, 3)
    assert allowed(BOB, 3) == [True] * 3


@pytest.mark.parametrize(
    ("network", "address"), [("net:192.0.2.0/24", "192.0.2.66"), ("net:2001:db8::/32", "2001:db8:7::1")]
)
def test_the_allow_list_is_never_banned(plan, network, address):
    """IPv4 and IPv6 networks."""
    plan("everyone", site={"rate": "1/minute", "ban_seconds": 60})
    services.save(Exemption(subject=network), actor="test")
    plans.reset()
    assert allowed(Caller(address=address), 5) == [True] * 5
    assert not Ban.objects.exists()


def test_a_ban_is_told_once(plan, settings):
    """One row, one mail, one webhook, one signal, one log line: however many requests follow."""
    got, heard = [], []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.THROTTLING = {
        "MAIL_TO": ["ops@example.org"],
        "MAIL_FROM": "limits@example.org",
        "WEBHOOKS": [f"http://127.0.0.1:{server.server_port}/hook", "ftp://x"],
    }
    signals.banned.connect(lambda **kw: heard.append(kw["subject"]), weak=False, dispatch_uid="t")
    try:
        plan("anon", site={"rate": "1/minute", "ban_seconds": 60})
        allowed(EVE, 10)
        for thread in threading.enumerate():
            if thread.name == "throttling-notice":
                thread.join(10)
    finally:
        signals.banned.disconnect(dispatch_uid="t")
        server.shutdown()
        server.server_close()
    assert [(m.subject, m.to) for m in mail.outbox] == [("Banned: addr:192.0.2.66", ["ops@example.org"])]
    assert [(hook["event"], hook["subject"], hook["seconds"]) for hook in got] == [("ban", "addr:192.0.2.66", 60.0)]
    assert heard == ["addr:192.0.2.66"]
    assert Ban.objects.count() == 1


def test_a_notice_that_cannot_be_sent_is_only_logged(plan, settings):
    """No webhook listens: the ban holds."""
    settings.THROTTLING = {"WEBHOOKS": ["http://127.0.0.1:1/"]}
    thread = notices.announce("addr:192.0.2.1", "test", 60)
    thread.join(10)
    assert not thread.is_alive()


def test_lifting_a_ban_lets_in_at_once(plan):
    """In the store and in the rows, with a record of who did it."""
    plan("anon", site={"rate": "10/second burst=1", "ban_seconds": 60})
    while allowed(EVE) == [True]:
        pass
    assert services.lift("addr:192.0.2.66", actor="ann") == 1
    plans.reset()
    time.sleep(0.15)
    assert allowed(EVE) == [True]
    assert Ban.objects.get().lifted_by == "ann"
    assert Change.objects.filter(action="lift", actor="ann").count() == 1


def test_a_limit_on_breaches_bans_who_is_refused_too_often(plan):
    """Flask-Limiter's meta limits: three refusals in an hour, of whatever limit, and the caller is out."""
    plan("user:2", tight="2/hour", breaches={"rate": "3/hour", "scopes": "breach", "ban_seconds": 60})
    seen = [take.take(BOB, "api") for _ in range(8)]
    assert [d.allowed for d in seen] == [True] * 2 + [False] * 6
    assert [d.banned_for > 0 for d in seen] == [False] * 6 + [True] * 2


def test_a_shadow_limit_bans_nobody(plan):
    """Dry run."""
    plan("anon", site={"rate": "1/minute", "ban_seconds": 60, "mode": "shadow"})
    assert allowed(EVE, 5) == [True] * 5
    assert not Ban.objects.exists()


@pytest.fixture
def guarded(plan):
    return plan("everyone", guard={"rate": "3/hour", "scopes": "login", "ban_seconds": 60, "closed": True})


def test_failed_logins_are_refused_after_some(guarded):
    """The fourth failure is answered 429, and the address is banned for anonymous requests."""
    guard = LoginGuard(EVE, "ann")
    assert [guard.failed().allowed for _ in range(5)] == [True, True, True, False, False]
    assert guard.blocked().allowed is False
    assert allowed(EVE) == [False]


def test_failures_of_others_never_lock_out_who_has_the_right_credentials(guarded):
    """Others at the address, and others guessing the same name elsewhere: the person known by then goes on."""
    for i in range(50):
        LoginGuard(EVE, f"name-{i}").failed()
        LoginGuard(Caller(address=f"198.51.100.{i}"), "bob").failed()
    assert allowed(BOB, 3) == [True] * 3


def test_success_forgets_ones_own_mistakes(guarded):
    """Two typos, then the right password: three new tries."""
    guard = LoginGuard(Caller(address="203.0.113.5"), "ann")
    guard.failed()
    guard.succeeded()
    assert the_store.get().keys_of(guard._pair().key) == []


def test_guards_stay_shut_without_the_store(guarded, settings):
    """Brute force does not profit from a stopped Redis; reads go on."""
    plans.current()
    settings.THROTTLING = {"CLIENT": "tests.throttling.stores.nowhere"}
    decision = take.take(EVE, "login")
    assert (decision.allowed, decision.degraded) == (False, True)
    assert allowed(EVE) == [True]


def test_bans_by_hand(db):
    """In force at once and everywhere, also for whole networks and known users."""
    from datetime import timedelta

    from django.utils import timezone

    until = timezone.now() + timedelta(hours=1)
    for subject in ("user:2", "net:192.0.2.0/24"):
        services.save(Ban(subject=subject, reason="enough", until=until), actor="ann")
        assert take.take(BOB, "api").banned_for > 0
        assert len(bans.running(list(Ban.objects.filter(lifted_at=None)))) == 1
        services.lift(subject, actor="ann")
        assert take.take(BOB, "api").allowed
