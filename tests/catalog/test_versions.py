"""Page versions in Redis."""

import pytest
from django_redis import get_redis_connection

from pkgindex.catalog import versions

KEY = versions.key(1, "acme")


def held() -> bytes | None:
    return get_redis_connection("default").get(KEY)


def test_a_late_writer_never_lowers_a_version():
    """Two publishers that finish in the wrong order leave the higher serial."""
    versions.publish([KEY], 8)
    versions.publish([KEY], 7)

    assert versions.parse(held()) == 8


def test_dirty_sends_readers_to_sql_and_is_not_overwritten_by_them():
    """Between mark and publish a reader finds no serial and its own older finding is not kept."""
    versions.mark_dirty([KEY], 7)
    versions.remember(KEY, 6)

    assert versions.parse(held()) is None
    versions.publish([KEY], 7)
    assert versions.parse(held()) == 7


def test_reader_fills_an_empty_key_for_a_while():
    """What a reader found in SQL is kept, with an end, where nothing else is."""
    versions.remember(KEY, 6)

    assert held() == b"6"
    assert 0 < get_redis_connection("default").ttl(KEY) <= versions.VERSION_SECONDS


@pytest.mark.parametrize(("raw", "serial"), [(b"12", 12), (b"dirty:3", None), (None, None), (b"", None), (b"-1", None)])
def test_parse(raw, serial):
    """Only a decimal serial is one."""
    assert versions.parse(raw) == serial


def test_redis_away_is_no_error(redis_server):
    """With Redis stopped every step does nothing and raises nothing."""
    redis_server.stop()

    versions.mark_dirty([KEY], 7)
    versions.publish([KEY], 3)
    versions.remember(KEY, 3)


def test_an_earlier_publisher_leaves_a_later_writer_s_mark():
    """While a writer is between mark and publish readers ask SQL, whoever else publishes meanwhile."""
    versions.mark_dirty([KEY], 8)
    versions.publish([KEY], 7)

    assert versions.parse(held()) is None
    versions.publish([KEY], 8)
    assert versions.parse(held()) == 8


def test_a_restart_of_redis_loses_no_version(redis_server):
    """A connection that idled through it is replaced, and the scripts are sent again."""
    versions.publish([KEY], 7)
    redis_server.stop()
    redis_server.start()

    versions.mark_dirty([KEY], 8)
    assert held() == b"dirty:8"
    versions.publish([KEY], 8)
    assert held() == b"8"
