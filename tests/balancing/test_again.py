"""The same client, the same file, right after a redirect: what it gets, and what it says of the node."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from balancing import again, picker, shared
from tests.balancing.conftest import fleet, state_of
from tests.standalone.servers import Redis

pytestmark = pytest.mark.django_db(transaction=True)
FILE = "ab" * 32


class TestAskingAgain:
    """The same client, the same file, right after a redirect."""

    def ask(self, held, client="c", file=FILE):
        found = picker.order(file, held, key=client)
        picker.redirected(found[0].name, file, client)
        return found[0].name

    def test_client_is_sent_elsewhere(self):
        """And the one after that is told apart: another client keeps the file's node."""
        held = fleet(3)
        first = self.ask(held)
        second = self.ask(held)
        assert second != first
        assert self.ask(held, "other") == first
        assert self.ask(held) != second  # the last one counts

    def test_another_process_knows(self):
        """It is in the shared store, not in this process."""
        held = fleet(3)
        first = self.ask(held)
        again.reset()
        assert self.ask(held) != first
        again.reset()
        assert self.ask(held) == first  # for it was sent to another one meanwhile

    def test_repeats_of_many_clients_eject_the_node(self):
        """Ten clients with ten files, all back from one node at once."""
        held = fleet(3)
        bad, number = "n01", 0
        while not state_of(bad).ejections:
            number += 1
            assert number < 200
            file, client = f"{number:064x}", f"client-{number}"
            if self.ask(held, client, file) == bad:
                self.ask(held, client, file)
        assert [state_of(name).ejections for name in sorted(held)] == [0, 1, 0]

    def test_build_farm_with_one_key_ejects_nobody(self):
        """One client that asks for the same file a hundred times counts once in a minute."""
        held = fleet(3)
        for _ in range(100):
            self.ask(held)
        assert max(state_of(name).score for name in held) <= 1.0

    def test_popular_file_ejects_nobody(self):
        """A hundred clients that all fetch one file twice count once in a minute against each node."""
        held = fleet(3)
        for number in range(100):
            for _ in range(2):
                self.ask(held, f"client-{number}")
        assert [state_of(name).ejections for name in held] == [0, 0, 0]

    def test_what_all_nodes_have_in_common_is_nobodys_fault(self):
        """Clients that fetch everything twice, from all nodes alike."""
        held = fleet(3)
        for number in range(150):
            for _ in range(2):
                self.ask(held, f"client-{number}", f"{number:064x}")
        assert [state_of(name).ejections for name in held] == [0, 0, 0]

    def test_costs_one_round_trip_and_no_database(self, django_assert_num_queries, monkeypatch):
        """Two commands in one pipeline for a redirect."""
        held = fleet(5)
        self.ask(held)
        trips = []

        def counted(work, otherwise):
            trips.append(work)
            return shared.ask(work, otherwise)

        monkeypatch.setattr(again, "shared", SimpleNamespace(ask=counted))
        with django_assert_num_queries(0):
            for number in range(10):
                self.ask(held, f"client-{number}", f"{number:064x}")
        assert len(trips) == 10

    def test_only_node_is_offered_again(self):
        """Better than none."""
        held = fleet(1)
        assert [self.ask(held), self.ask(held)] == ["n00", "n00"]

    def test_paused_store_costs_one_time_out_and_memory_stands_in(self, settings):
        """A redirect is never held up by more, and the client is still sent elsewhere by this process."""
        server = Redis().start()
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": f"{server.url}/0"}}
        held = fleet(3)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            first, second = self.ask(held), self.ask(held)
            assert time.monotonic() - start < 3 * shared.TIMEOUT
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
            server.close()
        assert first != second

    def test_store_sees_no_names(self):
        """Neither clients nor files are kept in the clear."""
        held = fleet(2)
        self.ask(held, "alice 192.0.2.1")
        keys = shared.ask(lambda client: client.keys("*"), [])
        assert not [key for key in keys if b"alice" in key or FILE.encode() in key]

    def test_memory_is_bounded(self, monkeypatch):
        """Any number of clients may come."""
        monkeypatch.setattr(again, "MOST", 10)
        for number in range(50):
            again.sent(f"client-{number}", FILE, "a")
            again.is_evidence(f"client-{number}", f"{number}", "a")
        assert (len(again._sent), len(again._blamed) <= 10) == (10, True)
