"""Clients that ask without a pause, and who of several workers answers them."""

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager

from tests.worker.served import request

OPTIONS = ("--workers", "2", "--keep-alive", "30")


def environ(talk, path="/at-once"):
    """What the application was told, and by whom."""
    return json.loads(talk.ask(request(path)).body)


def who(talk, path="/at-once"):
    """Which process answers."""
    return environ(talk, path)["PROCESS"]


@contextmanager
def asking(talks, path, slowest=None):
    """Somebody asks over each of the connections all the time; gives what processes answered last, in their order.

    `slowest` takes for how many seconds each had to wait at most.
    """
    last, ended, faults = [""] * len(talks), threading.Event(), []

    def ask(place, talk):
        longest = 0.0
        try:
            while not ended.is_set():
                began = time.monotonic()
                last[place] = who(talk, path)
                longest = max(longest, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - whatever it is
            faults.append(error)
        if slowest is not None:
            slowest.append(longest)

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(talks)]
    for thread in threads:
        thread.start()
    try:
        yield last
    finally:
        ended.set()
        for thread in threads:
            thread.join(10)
    assert not faults


def halved(last):
    """Whether each of two processes answers about half of the connections."""
    return len(set(last)) == 2 and min(Counter(last).values()) >= len(last) // 2 - len(last) // 8
