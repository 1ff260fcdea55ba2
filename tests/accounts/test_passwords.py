"""Passwords over Basic: right, wrong, changed, and how often the slow hash runs."""

import threading

import pytest
from django.db import connection
from django.test import RequestFactory
from django_redis import get_redis_connection

from pkgindex.accounts import passwords
from pkgindex.accounts.identity import forget_user, identify
from pkgindex.accounts.models import User
from pkgindex.accounts.roles import ALL_SCOPES
from pkgindex.errors import InvalidCredentials
from tests.accounts.hashers import CountingHasher

pytestmark = pytest.mark.django_db(transaction=True)

HASHERS = ["tests.accounts.hashers.CountingHasher", "django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ann(settings) -> User:
    settings.PASSWORD_HASHERS = HASHERS
    user = User.objects.create_user("ann", password="right horse")
    CountingHasher.runs = 0
    return user


@pytest.fixture
def ask(basic):
    return lambda name, password: identify(RequestFactory().get("/", **basic(name, password)))


def test_twenty_requests_hash_once_and_then_ask_nobody(ann, ask, django_assert_num_queries, redis_server):
    """After the first request neither the hasher nor SQL nor Redis is needed."""
    first = ask("ann", "right horse")
    redis_server.stop()

    with django_assert_num_queries(0):
        for _ in range(20):
            assert ask("ann", "right horse") == first

    assert first.scopes == ALL_SCOPES
    assert first.token_id is None
    assert CountingHasher.runs == 1


def test_fifty_parallel_requests_hash_once(ann, ask):
    """Threads that come together wait for the first one's result."""
    found: list[str] = []

    def work() -> None:
        try:
            found.append(ask("ann", "right horse").username)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert found == ["ann"] * 50
    assert CountingHasher.runs == 1


def test_other_process_does_not_hash_again(ann, ask):
    """That the password was right is shared through Redis."""
    ask("ann", "right horse")
    passwords._proofs.clear_local()
    passwords._accounts.clear_local()

    ask("ann", "right horse")

    assert CountingHasher.runs == 1


def test_wrong_password_is_remembered(ann, ask, django_assert_num_queries):
    """Twenty tries with one wrong password hash once."""
    for _ in range(20):
        with pytest.raises(InvalidCredentials, match="username or password is wrong"):
            ask("ann", "wrong horse")

    assert CountingHasher.runs == 1
    assert ask("ann", "right horse").username == "ann"


def test_unknown_user_costs_a_hash_as_well(ann, ask):
    """The time does not tell whether the name exists, and the sentence is the same."""
    with pytest.raises(InvalidCredentials) as unknown:
        ask("nobody", "x")
    assert CountingHasher.runs == 1
    with pytest.raises(InvalidCredentials) as wrong:
        ask("ann", "x")

    assert unknown.value.sentence == wrong.value.sentence


@pytest.mark.parametrize("told", [True, False])
def test_changed_password_stops_the_old_one(ann, ask, told):
    """The old password ends when the row is read again, which is within five seconds or on being told."""
    ask("ann", "right horse")
    ann.set_password("new horse")
    ann.save()
    if told:
        forget_user(ann.pk, "ann")
    else:
        passwords._accounts.clear_local()
        get_redis_connection("default").flushdb()  # what three seconds do

    with pytest.raises(InvalidCredentials):
        ask("ann", "right horse")
    assert ask("ann", "new horse").username == "ann"


def test_deactivated_account_stops(ann, ask):
    """The proof of the password outlives the account's activity and does not count."""
    ask("ann", "right horse")
    User.objects.update(is_active=False)
    forget_user(ann.pk, "ann")

    with pytest.raises(InvalidCredentials):
        ask("ann", "right horse")


def test_account_row_is_kept_five_seconds_at_most():
    """Local and shared life times of the row add up to the promise."""
    assert passwords._accounts._local_seconds + passwords._accounts._shared_seconds <= 5


def test_hash_of_older_rules_is_renewed_without_refusing(settings, ask):
    """Django rehashes at the first login; the caller notices nothing."""
    settings.PASSWORD_HASHERS = list(reversed(HASHERS))
    ann = User.objects.create_user("ann", password="right horse")
    settings.PASSWORD_HASHERS = HASHERS
    passwords._account("ann")  # cached with the fingerprint of the old hash

    assert ask("ann", "right horse").username == "ann"

    ann.refresh_from_db()
    assert ann.password.startswith("pbkdf2")
    CountingHasher.runs = 0
    ask("ann", "right horse")
    assert CountingHasher.runs == 0


def test_redis_holds_no_password(ann, ask):
    """Neither keys nor values in Redis hold the password, the username or the stored hash."""
    ask("ann", "right horse")
    redis = get_redis_connection("default")
    kept = [key + b" " + redis.get(key) for key in redis.keys("*")]

    assert len(kept) == 2
    for text in kept:
        assert b"horse" not in text
        assert ann.password.encode() not in text


@pytest.mark.parametrize("name", ["ann ", " ann", "ANN", "ann\u200b", "", "a:b"])
def test_nearly_the_right_name(ann, ask, name):
    """Names are compared exactly; odd ones are refused like wrong ones."""
    with pytest.raises(InvalidCredentials):
        ask(name, "right horse")


def test_user_without_password(ask):
    """A machine account with an unusable password cannot sign in, with an empty one neither."""
    User.objects.create_user("robot")

    for password in ("", "!", User.objects.get().password):
        with pytest.raises(InvalidCredentials):
            ask("robot", password)
