"""What requests with the same header fields share on the short way."""

import pytest

from pkgindex.accounts.roles import ANONYMOUS, Who
from pkgindex.shortway import is_plain, of_fields, sender_of
from pkgindex.worker import FIELDS
from throttling import plans
from throttling.subjects import Caller


def test_what_fields_say_is_asked_once_where_they_are_shared():
    """Each request for itself where the server tells nothing."""
    asked = []

    def find(environ):
        asked.append(environ)
        return len(asked)

    together = {FIELDS: {}}
    assert [of_fields(together, find), of_fields(together | {"PATH_INFO": "/other"}, find)] == [1, 1]
    assert [of_fields({}, find), of_fields({}, find)] == [2, 3]


def test_sender_is_who_is_meant_now():
    """The same fields may mean another caller a moment later: a token's owner can change groups."""
    before = Who(user_id=1, username="ann", token_id=5)
    after = Who(user_id=1, username="ann", token_id=5, group_ids=(7,))
    environ = {FIELDS: {}, "REMOTE_ADDR": "192.0.2.1"}

    first = sender_of(environ, before)

    assert first == Caller("1", "5", (), "192.0.2.1")
    assert sender_of(environ, before) is first
    assert sender_of(environ, after) == Caller("1", "5", ("7",), "192.0.2.1")
    assert sender_of(environ, ANONYMOUS) == Caller(address="192.0.2.1")


@pytest.mark.django_db
def test_host_and_method_are_judged_for_each_block_of_fields():
    """A strange host is Django's to refuse, whichever request said so first."""
    plans.current()
    plans.is_fresh()  # whoever asks first may be sent to look
    good = {FIELDS: {}, "REQUEST_METHOD": "GET", "HTTP_HOST": "testserver"}
    bad = {FIELDS: {}, "REQUEST_METHOD": "GET", "HTTP_HOST": "bad host"}

    assert [is_plain(one, frozenset({"GET"})) for one in (good, bad, good, bad)] == [True, False, True, False]
    assert not is_plain(good | {"REQUEST_METHOD": "POST"}, frozenset({"GET"}))
    assert not is_plain(good | {"QUERY_STRING": "a"}, frozenset({"GET"}))
