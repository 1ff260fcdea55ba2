"""Connections of our worker: long answers, clients that are slow, silent or gone, and the worker's end."""

import json
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tests.worker.served import Served, request, until

SIZE = 256 * 80_000  # of the file that is sent
LARGE = 3_000_000


@pytest.fixture
def own(tmp_path):
    """A function that starts a server of one's own."""
    (tmp_path / "sent").write_bytes(bytes(range(256)) * 80_000)
    more = {"SENT_FILE": str(tmp_path / "sent"), "CLOSED_LOG": str(tmp_path / "closed")}
    with ExitStack() as stack:
        yield lambda *options, **named: stack.enter_context(Served(tmp_path, options, more=more, **named))


def closed(served):
    """How much of each file went out, as it was told at the end."""
    path = served.directory / "closed"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("path", ["/file", "/large"])
def test_slow_reader_gets_every_byte_while_others_are_answered(served, path):
    """A long answer waits for its socket and holds nobody up, with as many readers as there are threads and more."""
    before = len(closed(served))
    with ExitStack() as stack:
        slow = [stack.enter_context(served.connect(receive_buffer=4_096)) for _ in range(5)]
        for talk in slow:
            talk.send(request(path))
        began = time.monotonic()
        assert all(served.ask(request("/at-once")).status == 200 for _ in range(20))
        assert served.ask(request("/nothing")).fields["x-way"] == "thread"
        assert time.monotonic() - began < 5
        bodies = [talk.read().body for talk in slow]
        kept = [talk.ask(request("/at-once")).fields["x-way"] for talk in slow]

    expected = bytes(range(256)) * 80_000 if path == "/file" else b"x" * LARGE
    assert all(body == expected for body in bodies)
    assert kept == ["loop"] * 5
    if path == "/file":
        assert closed(served)[before:] == [SIZE] * 5


def test_requests_that_come_while_an_answer_is_on_its_way(served):
    """They are answered after it, in order."""
    with served.connect(receive_buffer=4_096) as talk:
        talk.send(request("/file"))
        time.sleep(0.1)
        talk.send(request("/at-once/1") + request("/at-once/2"))
        assert len(talk.read().body) == SIZE
        assert [json.loads(talk.read().body)["PATH_INFO"] for _ in range(2)] == ["/at-once/1", "/at-once/2"]


def test_client_that_goes_away_is_told_of(served):
    """The file is closed, whoever counts hears how much went out, and no descriptor is left."""
    process = served.worker_process()
    served.ask(request("/at-once"))
    before, files = len(closed(served)), process.num_fds()
    for _ in range(5):
        with served.connect(receive_buffer=4_096) as talk:
            talk.send(request("/file"))
            talk.read_head()
            talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset

    assert until(lambda: len(closed(served)) == before + 5)
    assert all(0 < sent < SIZE for sent in closed(served)[before:])
    assert until(lambda: process.num_fds() <= files)
    assert served.ask(request("/at-once")).status == 200


def test_silent_and_busy_connections(own):
    """Silence is cut after `keepalive`, before the first request, after one, and in the middle of an answer; a busy
    connection is kept, whether the loop or threads answer it.
    """  # noqa: D205 - one sentence
    served = own("--keep-alive", "2")
    with served.connect() as never, served.connect() as once, served.connect(receive_buffer=4_096) as stuck:
        with served.connect() as busy, served.connect() as mixed:
            stuck.send(request("/file"))
            once.ask(request("/at-once"))
            for number in range(9):
                assert busy.ask(request("/at-once")).status == 200
                assert mixed.ask(request("/nothing" if number % 2 else "/at-once")).status == 200
                time.sleep(0.5)
            assert never.is_closed(1)
            assert once.is_closed(1)
        assert until(lambda: closed(served) and closed(served)[0] < SIZE, 5)
        assert len(stuck.read_bytes(2 * SIZE)) < 2 * SIZE  # it ends


@pytest.mark.skipif(not hasattr(socket, "TCP_DEFER_ACCEPT"), reason="the kernel must be able to wait")
def test_connection_is_taken_with_its_first_bytes(served):
    """One that says nothing is passed over for one that comes later and asks; after a second it is taken too."""
    served.ask(request("/at-once"))  # the worker listens
    process = served.worker_process()

    def is_taken(talk):
        port = talk.sock.getsockname()[1]
        return any(one.raddr and one.raddr.port == port for one in process.net_connections())

    def is_passed_over():
        # Connections are taken in their order, so that without the kernel's help the first would be there by now.
        with served.connect() as silent:
            served.ask(request("/at-once"))
            return not is_taken(silent)

    assert until(is_passed_over)  # more than one trial only where a busy machine slept for the second
    with served.connect() as late:
        assert until(lambda: is_taken(late), 5)
        assert late.ask(request("/at-once")).status == 200


def test_idle_connections_hold_no_thread(own):
    """Far more than there are threads, new ones that say nothing and old ones that wait."""
    served = own("--keep-alive", "30", threads=2)
    with ExitStack() as stack:
        for number in range(40):
            talk = stack.enter_context(served.connect())
            if number % 2:
                talk.ask(request("/at-once" if number % 4 == 1 else "/nothing"))
        began = time.monotonic()
        assert served.ask(request("/nothing")).status == 200
        assert time.monotonic() - began < 1


def test_slow_requests_hold_no_thread(own):
    """A head that comes letter by letter waits in the poller, over new and over kept connections."""
    served = own("--keep-alive", "30", threads=1)
    with ExitStack() as stack:
        slow = [stack.enter_context(served.connect()) for _ in range(8)]
        for number, talk in enumerate(slow):
            if number % 2:
                talk.ask(request("/at-once"))
            talk.send(b"GET /noth")
        began = time.monotonic()
        assert served.ask(request("/nothing")).fields["x-way"] == "thread"
        assert time.monotonic() - began < 1
        for talk in slow:
            talk.send(b"ing HTTP/1.1\r\nHost: testserver\r\n")
        assert served.ask(request("/nothing")).fields["x-way"] == "thread"
        for talk in slow:
            talk.send(b"\r\n")
        assert [json.loads(talk.read().body)["PATH_INFO"] for talk in slow] == ["/nothing"] * 8


def test_head_that_never_ends_is_cut(own):
    """After `keepalive`, however its letters are spread."""
    served = own("--keep-alive", "2")
    with served.connect() as talk:
        talk.ask(request("/at-once"))
        began = time.monotonic()
        talk.sock.settimeout(0.2)
        talk.send(b"GET /")
        ended = b"not yet"
        while ended and time.monotonic() - began < 8:
            with suppress(TimeoutError):
                talk.send(b"a")
                ended = talk.sock.recv(1)
        assert 1.5 < time.monotonic() - began < 6


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02\x00\x01\x00\r\n", b"hello\r\n", b"get / HTTP/1.1\r\n"])
def test_what_is_no_request_is_told_so_at_once(served, raw):
    """A TLS client at the wrong port does not wait for half a minute."""
    with served.connect() as talk:
        talk.send(raw)
        assert talk.read_head()[0] == 400


def test_long_heads_are_a_threads_work(served):
    """What does not fit one read is read on by gunicorn's parser, with its limits."""
    fields = [f"X-{number}: {'x' * 1_000}" for number in range(30)]
    assert served.ask(request("/at-once", *fields)).fields["x-way"] == "thread"
    assert served.ask(request("/at-once", f"X-Long: {'x' * 20_000}")).status == 431


def test_end_while_an_answer_is_on_its_way(own):
    """SIGTERM lets a download finish, answers what comes over a kept connection once more, and ends the process."""
    served = own("--keep-alive", "30")
    with served.connect(receive_buffer=4_096) as download, served.connect() as kept, served.connect() as silent:
        kept.ask(request("/at-once"))
        silent.ask(request("/at-once"))
        download.send(request("/file"))
        download.read_head()
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        last = kept.ask(request("/at-once"))
        assert (last.status, last.fields["connection"]) == (200, "close")
        assert len(download.read_bytes(SIZE)) == SIZE
        assert silent.is_closed(5)
        served.process.wait(10)
    assert closed(served) == [SIZE]


def test_worker_that_has_answered_enough_is_replaced(own):
    """`max_requests` counts answers of the loop, and no request is lost over it."""
    served = own("--max-requests", "50", "--keep-alive", "30")
    first = served.worker_process().pid
    for _ in range(60):
        with served.connect() as talk:
            assert talk.ask(request("/at-once")).status == 200
    assert until(lambda: first not in [child.pid for child in served.worker_process().parent().children()])


def test_access_log_has_answers_of_the_loop(own):
    """One line each, as gunicorn writes it; the connection's port and what was decided do not disturb it."""
    form = "%(h)s %(m)s %(U)s %(s)s %(B)s %(f)s %({user-agent}i)s %({x-way}o)s"
    served = own("--access-logfile", "-", "--access-logformat", form)
    served.ask(request("/at-once/a", "User-Agent: me", "Referer: there"))
    served.ask(request("/decided/b", "User-Agent: me"))
    served.ask(request("/304", "User-Agent: me"))

    def found() -> list[list[str]]:
        # A thread writes its line when the answer is out already, perhaps after that of the next request.
        return sorted((line.split() for line in served.log.splitlines() if " GET " in line), key=lambda line: line[2])

    assert until(lambda: len(found()) == 3)
    lines = found()
    assert [(*line[:4], *line[5:]) for line in lines] == [
        ("127.0.0.1", "GET", "/304", "304", "-", "me", "loop"),
        ("127.0.0.1", "GET", "/at-once/a", "200", "there", "me", "loop"),
        ("127.0.0.1", "GET", "/decided/b", "200", "-", "me", "thread"),
    ]


@pytest.mark.parametrize("options", [["--proxy-protocol"], ["--keep-alive", "0"], ["--statsd-host", "127.0.0.1:9"]])
def test_what_the_loop_does_not_know_is_left_to_gunicorn(own, options):
    """Another protocol on the wire, or somebody who wants to hear of every request."""
    served = own(*options)
    answer = served.ask(request("/at-once"))
    assert (answer.status, answer.fields["x-way"]) == (200, "thread")


def test_a_unix_socket(own, tmp_path):
    """Behind nginx on the same host; there is no address of the client."""
    place = tmp_path / "socket"
    own("--bind", f"unix:{place}")
    assert until(place.exists)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(place))
        for _ in range(2):
            sock.sendall(request("/at-once"))
            answer = sock.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b'"REMOTE_ADDR": ""' in answer


def test_many_clients_at_once_lose_nothing(served):
    """Loop and threads under concurrent load over kept and new connections: every answer belongs to its request."""
    wrong: list[object] = []

    def client(number: int) -> None:
        with served.connect() as talk:
            for turn in range(100):
                path = f"/{('at-once', 'decided', 'nothing')[turn % 3]}/{number}/{turn}"
                answer = talk.ask(request(path, f"User-Agent: client-{number}"))
                if path.encode() not in answer.body:
                    wrong.append((path, answer))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(12)]
    for one in clients:
        one.start()
    for one in clients:
        one.join(60)

    assert not wrong


def test_upkeep_is_a_threads_work(tmp_path):
    """Once a second, also where it failed before; one that takes long holds up no request, nor is another begun."""
    with Served(tmp_path, threads=3) as served, served.connect() as talk:

        def kept_up():
            return int(talk.ask(request("/kept-up")).body)

        until = time.monotonic() + 20
        while kept_up() < 3 and time.monotonic() < until:
            time.sleep(0.05)
        began = time.monotonic()
        assert talk.ask(request("/at-once")).fields["x-way"] == "loop"
        assert kept_up() == 3
        assert time.monotonic() - began < 1
        time.sleep(1.5)
        assert kept_up() == 3
        while kept_up() < 4 and time.monotonic() < until:
            time.sleep(0.05)
        assert kept_up() >= 4
