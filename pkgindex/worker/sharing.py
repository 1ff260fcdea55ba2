"""How the workers of a server share its connections: they gather in one as long as it can bear them."""

import errno
import selectors
import socket
import time
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from pkgindex.worker.connection import Connection
from pkgindex.worker.fellows import ALIVE_SECONDS, Fellows, Mailbox, gathered, surplus

TAKEN = 16  # connections in one turn
WINDOW = 0.2  # seconds over which load is measured: an installer's bursts are shorter, and had better stay together
SILENT = 1  # seconds for which the kernel keeps a connection to itself over which nothing has come in
DEFER = getattr(socket, "TCP_DEFER_ACCEPT", None)  # Linux has it
MAILBOXES = (surplus, gathered)
PASSING = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED}


class SharingWorker(ThreadWorker):
    """`gthread` that takes connections into its poller, leaves some to other workers and hands some over to them."""

    alive: bool
    little = 0.1  # of a processor: whoever takes over what has so little to do is not soon at its limit
    limit = 0.4  # of a processor, above which others are to help: waiting for Redis and disks leaves it little more

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._keepalive, self._shares_sockets = self.cfg.keepalive, not self.cfg.reuse_port
        self._addresses: dict[Any, Any] = {}  # of listening sockets
        self._accept_from = 0.0  # on the monotonic clock
        self._gave_chance = False  # to others, to take what waits now
        self._fellows = Fellows(self.age)
        self._at_once: Any = None
        self._asked: set[Connection] = set()  # over which something came in since the load was measured
        self._in_threads: set[Connection] = set()
        self._surplus = 0  # connections that others should have
        self._follows = False  # whether others should have all that is asked here
        self._gave = False  # one of those, since the load was measured
        self._keeps_until = 0.0  # on the monotonic clock: until then others get none of them
        self._watched: set[Mailbox] = set()
        self._ready: list[Any] = []  # requests that are answered at the end of this turn
        self._measured = self._processor = 0.0

    def run(self) -> None:
        """The main loop. What was spent before, on loading the application, says nothing about load."""
        self._measured, self._processor = time.monotonic(), time.process_time()
        self._judge(full=self._is_full())
        if self._at_once is not None:
            for listener in self.sockets:
                _await_first_bytes(listener)
        super().run()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Watch the listening sockets, but not while the next connection is left to others."""
        if not enabled or time.monotonic() >= self._accept_from:
            super().set_accept_enabled(enabled)
        if not self.alive:
            self._fellows.leave()
            self._surplus, self._follows = 0, False
            for mailbox in MAILBOXES:
                self._watch(mailbox, wanted=False)
                self._take_over(mailbox)  # the last ones, whose senders may be leaving too

    def accept(self, listener: Any) -> None:
        """Take what waits there into the poller, unless that is left to another worker."""
        pause = self._pause()
        if pause:
            self._accept_from = time.monotonic() + pause
            self.set_accept_enabled(enabled=False)
        else:
            for _ in range(TAKEN):
                taken = self._accept(listener)
                # At its limit it takes that one alone: the others have been given little time.
                self._gave_chance = self._gave_chance and not self._fellows.full
                if not taken or self.nr_conns >= self.worker_connections or self._pause():
                    break
        self._fellows.tell(self.nr_conns)

    def _pause(self) -> float:
        """Seconds for which the next connection is left to another worker that has not been given its chance yet."""
        # With `reuse_port` each worker has a socket of its own, and nobody else would take it.
        return 0.0 if self._gave_chance or not self._shares_sockets else self._fellows.pause(self.nr_conns)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn. After a pause it waits for nothing: a connection that is there has waited for all of the pause."""
        now = time.monotonic()
        if self.alive:
            if now >= self._measured + WINDOW:
                self._measure(now)
            else:
                self._fellows.tell(self.nr_conns)
        if self._gave:
            timeout = min(timeout, WINDOW)  # what nobody could take is to come back
        if now < self._accept_from:
            timeout = min(timeout, self._accept_from - now)
        self._gave_chance = self._accepting and self._accept_from > 0
        if self._gave_chance:
            timeout = self._accept_from = 0.0
        if self._ready:
            timeout = 0.0
        super().wait_for_and_dispatch_events(timeout)

    def _accept(self, listener: Any) -> bool:
        """Take one connection, and read what came with it; False where there is none, or none to be had now."""
        if self._at_once is None:
            super().accept(listener)
            return False
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno not in PASSING:
                raise
            return False
        own = self._addresses.get(listener) or self._addresses.setdefault(listener, listener.getsockname())
        self._welcome(sock, address, own)
        return True

    def _welcome(self, sock: Any, client: Any, server: Any) -> None:
        self.nr_conns += 1
        conn = Connection(self._keepalive, self.cfg, sock, client, server)
        conn.set_timeout()
        self.pending_conns.append(conn)
        self.poller.register(sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))
        self.on_pending_socket_readable(conn, sock)  # something may have come in with it

    def _measure(self, now: float) -> None:
        """See how loaded this worker is, and do what follows from it."""
        processor = time.process_time()
        share = (processor - self._processor) / (now - self._measured)
        self._measured, self._processor = now, processor
        self._surplus, self._follows = 0, False
        self._take_over(surplus)  # whoever was to have it may have ended
        if self._take_over(gathered) and self._gave:
            self._keeps_until = now + ALIVE_SECONDS  # or hangs
        self._gave = False
        self._judge(full=self._is_full(share))
        self._follows = share < self.little and now >= self._keeps_until and self._may_follow()
        self._asked.clear()

    def _is_full(self, share: float = 0.0) -> bool:
        """Whether others are to help one that takes this share of a processor."""
        # Two threads at once hold up each other and the loop; and who cannot hand over had better share from the start.
        return share > self.limit or len(self._in_threads) > 1 or self._at_once is None

    def _may_follow(self) -> bool:
        return self._shares_sockets and not self._fellows.full and self._fellows.follows()

    def _judge(self, *, full: bool) -> None:
        """Say whether this worker is at its limit, and find out whether others should have some of its connections."""
        full = full or self.nr_conns >= self.worker_connections
        self._fellows.note(full=full, busy=len(self._asked | self._in_threads))
        self._fellows.tell(self.nr_conns)
        self._surplus = self._fellows.surplus()
        # What this one has sent is not for itself.
        self._watch(surplus, wanted=self._surplus == 0 and self.nr_conns < self.worker_connections)
        self._watch(gathered, wanted=not full)

    def _watch(self, mailbox: Mailbox, *, wanted: bool) -> None:
        if wanted is (mailbox in self._watched) or self._at_once is None:
            return
        if wanted:
            self._watched.add(mailbox)
            self.poller.register(mailbox.outlet, selectors.EVENT_READ, partial(self._on_mail, mailbox))
        else:
            self._watched.remove(mailbox)
            self.poller.unregister(mailbox.outlet)

    def _on_mail(self, mailbox: Mailbox, _outlet: Any) -> None:
        """Take what is there, but nothing back: whoever passes something on does not watch any more."""
        for _ in range(TAKEN):
            if mailbox not in self._watched or not self._take(mailbox):
                break

    def _take_over(self, mailbox: Mailbox) -> bool:
        """Take what other workers have handed over, or nobody has taken; whether there was anything."""
        return sum(takewhile(bool, (self._take(mailbox) for _ in range(TAKEN)))) > 0

    def _take(self, mailbox: Mailbox) -> bool:
        if self.nr_conns >= self.worker_connections:
            self._watch(mailbox, wanted=False)
            return False
        handed = mailbox.take()
        if handed is not None:
            self._welcome(*handed)
        return handed is not None

    def enqueue_req(self, conn: Any) -> None:
        """Let a thread go on with a connection."""
        self._in_threads.add(conn)
        if self.alive and not self._fellows.full and self._is_full():
            self._judge(full=True)
        super().enqueue_req(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """After a thread: go on in the poller, or close."""
        self._in_threads.discard(conn)
        super().finish_request(conn, fs)

    def _hands_over(self, conn: Connection) -> bool:
        """Give a connection over which something has come in to another worker, if that should have it.

        Not one of which something was read already.
        """
        self._asked.add(conn)
        if conn.early or not (self._gives_surplus(conn) or self._gives_all(conn)):
            return False
        self._asked.discard(conn)  # others count it now
        self._forget(conn)
        return True

    def _gives_surplus(self, conn: Connection) -> bool:
        if self._surplus <= 0 or not surplus.put(conn.sock, conn.client, conn.server):
            return False
        self._surplus -= 1
        return True

    def _gives_all(self, conn: Connection) -> bool:
        """To the first that is not at its limit, which may have changed since this one was judged."""
        if not (self._follows and self._may_follow() and gathered.put(conn.sock, conn.client, conn.server)):
            return False
        self._gave = True
        self._watch(gathered, wanted=False)
        return True

    def _forget(self, conn: Connection) -> None:
        """Close our end of a connection that waits in the poller."""
        self.poller.unregister(conn.sock)
        self._leave_queues(conn)
        self.nr_conns -= 1
        conn.close()

    def _leave_queues(self, conn: Connection) -> None:
        queue = self.pending_conns if conn.fresh else self.keepalived_conns
        with suppress(ValueError):  # it may be on its way out
            queue.remove(conn)


def _await_first_bytes(listener: Any) -> None:
    """Have connections of a listening socket only when something has come in over them, or nothing for `SILENT`.

    An installer opens dozens at once: the loop would wake up for each of them twice (tcp(7), TCP_DEFER_ACCEPT).
    """
    if DEFER is not None and listener.family in {socket.AF_INET, socket.AF_INET6}:
        with suppress(OSError):  # it is no worse without, and some kernels know the option by name alone
            listener.setsockopt(socket.IPPROTO_TCP, DEFER, SILENT)
