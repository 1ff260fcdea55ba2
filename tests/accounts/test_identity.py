"""From a header to a caller: tokens, their ends, and what the caches save."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone
from django_redis import get_redis_connection

from pkgindex.accounts import identity, tokens
from pkgindex.accounts.identity import identify
from pkgindex.accounts.models import Role, Token, User
from pkgindex.accounts.roles import ANONYMOUS, Rank, Scope
from pkgindex.accounts.services import issue, revoke
from pkgindex.audit.record import SYSTEM
from pkgindex.errors import InvalidCredentials

pytestmark = pytest.mark.django_db


def ask(header: str):
    return identify(RequestFactory().get("/", HTTP_AUTHORIZATION=header))


@pytest.fixture
def issued(people) -> tuple[Token, str]:
    return issue(SYSTEM, None, people.uploader, "ci", ["read", "upload"])


def test_nobody_is_anonymous():
    """No header, no error."""
    assert identify(RequestFactory().get("/")) is ANONYMOUS


def test_token_carries_user_ranks_and_limits(people, index):
    """The caller is the token's user with ranks of user and groups, within the token's limits."""
    until = timezone.now() + timedelta(days=1)
    token, secret = issue(SYSTEM, None, people.uploader, "ci", ["upload", "read"], index, ["acme", "team-*"], until)

    who = ask(f"Bearer {secret}")

    assert (who.username, who.token_id, who.token_name) == ("uploader", token.pk, "ci")
    assert who.scopes == {Scope.READ, Scope.UPLOAD}
    assert who.token_index_id == index.pk
    assert who.project_patterns == ("acme", "team-*")
    assert who.index_ranks == {index.pk: Rank.UPLOADER}
    assert who.expires_at == until.timestamp()


def test_group_ranks_count_and_the_highest_wins(people, index, django_user_model):
    """A rank of a group lifts its members and never lowers them."""
    from django.contrib.auth.models import Group

    group = Group.objects.create(name="team")
    people.reader.groups.add(group)
    people.owner.groups.add(group)
    Role.objects.create(group=group, index=index, rank="maintainer")
    for user, rank in ((people.reader, Rank.MAINTAINER), (people.owner, Rank.OWNER)):
        _, secret = issue(SYSTEM, None, user, "x", ["read"])

        assert ask(f"token {secret}").index_ranks == {index.pk: rank}


def test_hit_asks_nobody(issued, django_assert_num_queries, redis_server):
    """The second request needs no SQL, and no Redis either: it works with Redis stopped."""
    _, secret = issued
    first = ask(f"Bearer {secret}")
    redis_server.stop()

    with django_assert_num_queries(0):
        assert ask(f"Bearer {secret}") == first


def test_other_process_learns_from_redis(issued, django_assert_num_queries):
    """A process that never saw the token asks Redis and no SQL."""
    _, secret = issued
    first = ask(f"Bearer {secret}")
    identity._holders.clear_local()

    with django_assert_num_queries(0):
        assert ask(f"Bearer {secret}") == first


@pytest.mark.parametrize("username", ["__token__", "uploader", " uploader "])
def test_basic_with_a_token(issued, basic, username):
    """The token is the password, of `__token__` or of its user."""
    assert ask(basic(username, issued[1])["HTTP_AUTHORIZATION"]).token_name == "ci"


@pytest.mark.parametrize("username", ["", "owner", "Uploader", "__TOKEN__", "nobody"])
def test_token_of_somebody_else(issued, basic, username):
    """A username that is not the token's user is refused, without saying whose it is."""
    with pytest.raises(InvalidCredentials, match="of another user") as caught:
        ask(basic(username, issued[1])["HTTP_AUTHORIZATION"])

    assert "uploader" not in caught.value.sentence


def test_unknown_token_asks_sql_once(people, django_assert_num_queries):
    """A flood of one unknown token costs one query in two seconds."""
    secret = tokens.generate()

    with django_assert_num_queries(1):
        for _ in range(20):
            with pytest.raises(InvalidCredentials, match="not known"):
                ask(f"Bearer {secret}")


def test_malformed_token_asks_nobody(redis_server, django_assert_num_queries):
    """The checksum answers garbage before Redis or SQL are asked."""
    redis_server.stop()

    with django_assert_num_queries(0), pytest.raises(InvalidCredentials, match="mistyped"):
        ask("Bearer pkgi_" + "A" * 49)


@pytest.mark.django_db(transaction=True)
def test_revoked_token_says_when_at_once(issued):
    """In the process that revokes it, the next request is refused, and says since when."""
    token, secret = issued
    ask(f"Bearer {secret}")

    revoke(SYSTEM, None, token)

    with pytest.raises(InvalidCredentials, match=rf"was revoked on {timezone.now():%Y-%m-%d}\."):
        ask(f"Bearer {secret}")


def test_expiry_is_checked_at_every_use(people, django_assert_num_queries):
    """A token that expires while it is cached is refused the second it does."""
    start = datetime(2026, 5, 1, 23, 59, 59, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        _, secret = issue(SYSTEM, None, people.reader, "short", ["read"], expires_at=start + timedelta(seconds=1))
        assert ask(f"Bearer {secret}").username == "reader"
        clock.shift(1)

        with django_assert_num_queries(0), pytest.raises(InvalidCredentials, match=r"expired on 2026-05-02\."):
            ask(f"Bearer {secret}")


def test_inactive_user(issued, people):
    """A deactivated account's tokens say so."""
    User.objects.filter(pk=people.uploader.pk).update(is_active=False)

    with pytest.raises(InvalidCredentials, match="account 'uploader' of this token is not active"):
        ask(f"Bearer {issued[1]}")


def test_use_is_noted_every_five_minutes(issued, django_assert_num_queries):
    """The last use is written on the load path, at most once in five minutes."""
    token, secret = issued
    ask(f"Bearer {secret}")
    token.refresh_from_db()
    noted = token.last_used_at
    assert noted is not None

    identity.forget_tokens(token.digest)
    with django_assert_num_queries(3 if connection.vendor == "sqlite" else 2):  # ranks and groups are asked together
        ask(f"Bearer {secret}")
    token.refresh_from_db()
    assert token.last_used_at == noted

    Token.objects.update(last_used_at=noted - timedelta(minutes=6))
    identity.forget_tokens(token.digest)
    ask(f"Bearer {secret}")
    token.refresh_from_db()
    assert token.last_used_at > noted - timedelta(minutes=1)


def test_redis_holds_neither_secret_nor_longer_than_allowed(issued):
    """What lies in Redis names the digest and ends within three seconds."""
    _, secret = issued
    ask(f"Bearer {secret}")
    redis = get_redis_connection("default")

    keys = redis.keys("near:token:*")

    assert keys == [f"near:token:{tokens.digest(secret)}".encode()]
    assert 0 < redis.pttl(keys[0]) <= 3000
    assert secret.encode() not in redis.get(keys[0])


@pytest.mark.django_db(transaction=True)
def test_many_threads_get_the_same_answer(issued):
    """Fifty threads at once: every answer is the caller, none fails."""
    _, secret = issued
    found: list[str] = []

    def work() -> None:
        from django.db import connection

        try:
            found.append(ask(f"Bearer {secret}").username)
        finally:
            connection.close()

    ask(f"Bearer {secret}")
    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert found == ["uploader"] * 50


def test_a_request_is_identified_once(people, monkeypatch):
    """Limits, the door and the delivery ask about one request, and its header is read for the first of them alone."""
    _, secret = issue(SYSTEM, None, people.reader, "once", ("read",))
    request = RequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {secret}")
    read, parse = [], identity.parse
    monkeypatch.setattr(identity, "parse", lambda header: read.append(header) or parse(header))

    found = [identity.identify(request), identity.identify(request), identity.caller(request)]

    assert [who.username for who in found] == ["reader"] * 3
    assert len(read) == 1
