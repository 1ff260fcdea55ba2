"""Kept connections gather in one worker again after a busy moment has spread them, and nobody waits for that."""

import selectors
import socket
import time
from contextlib import ExitStack, closing

from pkgindex.worker import sharing
from pkgindex.worker.fellows import Mailbox
from tests.worker.asking import asking, halved, who
from tests.worker.served import Served, request, until

RESTED = 1.2  # seconds after which a worker with nothing to do has looked after its load: it wakes up once a second


def test_kept_connections_gather_again_too(own):
    """As those of nginx, which are never new: a busy moment has spread them, and it is long ago."""
    with ExitStack() as stack:
        talks = [stack.enter_context(own.connect()) for _ in range(8)]
        first = {who(talk) for talk in talks}
        with asking(talks, "/spin") as last:
            assert until(lambda: halved(last))
        assert until(lambda: {who(talk) for talk in talks} == first)
        assert {who(talk) for talk in talks} == first  # and so they stay


def test_of_three_the_first_has_them_all_again(tmp_path):
    """Whoever takes a connection on its way passes it on."""
    with Served(tmp_path, ("--workers", "3", "--keep-alive", "30")) as served, ExitStack() as stack:
        served.wait_for_workers(3)
        talks = [stack.enter_context(served.connect()) for _ in range(9)]
        first = {who(talk) for talk in talks}
        with asking(talks, "/spin") as last:
            assert until(lambda: len(set(last)) == 3)
        assert until(lambda: {who(talk) for talk in talks} == first)


class PassingOn(sharing.SharingWorker):
    """One that others should have everything of."""

    nr_conns, worker_connections = 0, 10

    def __init__(self, mailbox):
        self.taken, self._mailbox, self._watched, self._at_once = 0, mailbox, {mailbox}, list
        self.poller = selectors.DefaultSelector()
        self.poller.register(mailbox.outlet, selectors.EVENT_READ)

    def _welcome(self, sock, client, server):
        self.taken += 1
        self._mailbox.put(sock, client, server)
        sock.close()
        self._watch(self._mailbox, wanted=False)


def test_what_is_passed_on_is_not_taken_back():
    """Whoever passes on a connection leaves it to others, in this turn too."""
    left, right = socket.socketpair()
    with closing(Mailbox()) as mailbox, closing(left), closing(right):
        mailbox.put(right, "", "")
        worker = PassingOn(mailbox)
        with closing(worker.poller):
            worker._on_mail(mailbox, mailbox.outlet)
        assert worker.taken == 1
        mailbox.take().sock.close()


def test_a_burst_after_a_rest_waits_for_nobody(own):
    """Whoever rests takes at once what one that is suddenly at its limit hands over."""
    with ExitStack() as stack:
        talks = [stack.enter_context(own.connect()) for _ in range(8)]
        for _ in range(3):
            who(talks[0])
            time.sleep(RESTED)
            slowest = []
            with asking(talks, "/spin", slowest) as last:
                assert until(lambda: halved(last))
            assert max(slowest) < 0.8  # who would take it only when it looks after its load took up to two


def test_whoever_asks_and_goes_away_harms_nobody(own):
    """Again and again, while workers hand over connections: they go on, and others are answered."""
    before = {one.pid for one in own.workers()}
    with ExitStack() as stack:
        talks = [stack.enter_context(own.connect()) for _ in range(4)]
        for _ in range(6):
            with asking(talks, "/spin"):
                for _ in range(100):
                    with own.connect() as gone:
                        gone.send(request("/spin"))
            time.sleep(1.5 * sharing.WINDOW)  # who has had little to do since hands over what is asked next
        assert all(who(talk) for talk in talks)
    assert {one.pid for one in own.workers()} == before
