"""What one process keeps."""

import threading

from pkgindex.simple.lru import OVERHEAD, Flights, PageLru, Ready


def ready(size: int, version: int = 1) -> Ready:
    return Ready(version, version, '"tag"', b"x" * size)


def test_bytes_are_bounded_and_the_least_used_go_first():
    """The limit counts bytes; what was used last stays."""
    cache = PageLru(3 * (100 + OVERHEAD))
    for key in "abc":
        cache.put(key, ready(100))
    cache.get("a", 1)

    cache.put("d", ready(100))

    assert [key for key in "abcd" if cache.get(key, 1)] == ["a", "c", "d"]
    assert cache.bytes == cache.limit


def test_page_larger_than_the_limit_is_not_kept():
    """One huge page does not push out all others."""
    cache = PageLru(1_000)
    cache.put("a", ready(100))

    cache.put("b", ready(2_000))

    assert cache.get("a", 1) is not None
    assert cache.get("b", 1) is None


def test_version_decides():
    """An older page is no answer to a newer version and never replaces a newer page."""
    cache = PageLru(10_000)
    cache.put("a", ready(10, version=5))

    assert cache.get("a", 6) is None
    assert cache.get("a", 4) is cache.get("a", 5) is not None
    cache.put("a", ready(20, version=4))
    assert len(cache.get("a", 4).body) == 10
    cache.put("a", ready(30, version=6))
    assert cache.bytes == 30 + OVERHEAD


def test_clear_forgets_all():
    """After clearing nothing is held and nothing is counted."""
    cache = PageLru(10_000)
    cache.put("a", ready(10))

    cache.clear_local()

    assert (cache.get("a", 1), cache.bytes) == (None, 0)


def test_one_thread_at_a_time_and_no_lock_left():
    """Threads with one key take turns, and afterwards no lock is kept."""
    flights, inside, most = Flights(), [], []

    def fly() -> None:
        with flights.boarding("a", 10):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=fly) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert (max(most), len(most), flights._open) == (1, 20, {})


def test_waiting_is_bounded():
    """Who waits for a stuck builder goes on without it."""
    flights = Flights()
    with flights.boarding("a", 1):
        went_on = threading.Event()

        def fly() -> None:
            with flights.boarding("a", 0.05):
                went_on.set()

        threading.Thread(target=fly).start()
        assert went_on.wait(5)
