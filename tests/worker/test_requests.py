"""What our worker makes of requests: the same as gunicorn's own, whether the loop or a thread answers."""

import json
from itertools import product

import pytest

from tests.worker.served import Served, request

PLAIN = {
    "a page": request("/at-once/simple/acme/"),
    "HEAD": request("/at-once", method="HEAD"),
    "uv": request("/at-once", "Accept: application/json, text/html;q=0.01", "Accept-Encoding: gzip, br, zstd"),
    "a field twice": request("/at-once", "Accept: a/b", "Accept: c/d"),
    "credentials": request("/at-once", "Authorization: Basic X190b2tlbl9fOnBrZ2k="),
    "letters beyond ASCII": request("/at-once", "User-Agent: caf\u00e9"),
    "spaces around": request("/at-once", "User-Agent:   x  "),
    "keep-alive said": request("/at-once", "Connection: keep-alive"),
    "a scheme from a proxy": request("/at-once", "X-Forwarded-Proto: https"),
    "hops": request("/at-once", "X-Forwarded-For: 10.0.0.1, 10.0.0.2"),
    "dots and tildes": request("/at-once/a.b_c~d-1.0+local"),
    "many fields": request("/at-once", *[f"X-{number}: x" for number in range(90)]),
    "fields too long to remember": request("/at-once", f"X-Long: {'x' * 7_000}"),
    "no fields but Host": request("/at-once"),
    "a tag": request("/at-once", 'If-None-Match: "abc"'),
    "a tag in small letters and not the last": request("/at-once", 'if-none-match: W/"abc"', "Accept: a/b"),
    "several tags": request("/at-once", "Accept: a/b", 'If-None-Match: "a", W/"b c", "d"', "Accept-Encoding: gzip"),
    "a tag in capitals": request("/at-once", 'IF-NONE-MATCH: "abc"'),
    "a tag without a space": request("/at-once", 'If-None-Match:"abc"'),
    "a tag with spaces around": request("/at-once", 'If-None-Match:   "abc"  '),
    "a tag beyond ASCII": request("/at-once", 'If-None-Match: "caf\u00e9"'),
    "an empty tag": request("/at-once", "If-None-Match: "),
    "as many tags as are cut out": request("/at-once", f"If-None-Match: {'x' * 1_000}"),
    "more tags than that": request("/at-once", f"If-None-Match: {'x' * 1_001}"),
    "nearly a tag": request("/at-once", 'X-If-None-Match: "abc"', 'If_None_Match: "abc"'),
}
UNUSUAL = {
    "a query": request("/at-once?x=1"),
    "an escaped path": request("/at-once/%C3%A4"),
    "two slashes": request("//at-once"),
    "HTTP 1.0": request("/at-once", version="1.0"),
    "the last one": request("/at-once", "Connection: close"),
    "another method": request("/at-once", method="DELETE"),
    "a body": request("/at-once", "Content-Length: 5", method="POST") + b"hello",
    "a body in chunks": request("/at-once", "Transfer-Encoding: chunked", method="PUT") + b"2\r\nhi\r\n0\r\n\r\n",
    "a GET with a body": request("/at-once", "Content-Length: 5") + b"hello",
    "an expectation": request("/at-once", "Expect: 100-continue", "Content-Length: 0"),
    "an upgrade": request("/at-once", "Connection: upgrade", "Upgrade: h2c"),
    "an absolute URL": request("http://testserver/at-once"),
    "tags twice": request("/at-once", 'If-None-Match: "a"', 'If-None-Match: "b"'),
}
WRONG = {
    "no host twice": request("/at-once", "Host: other"),
    "a broken field": request("/at-once", "no colon"),
    "a field folded": request("/at-once", "X-A: b\r\n c"),
    "too many tags": request("/at-once", f"If-None-Match: {'x' * 9_000}"),
    "tags folded": request("/at-once", 'If-None-Match: "a",\r\n "b"'),
    "too many fields": request("/at-once", *[f"X-{number}: x" for number in range(200)]),
    "a length that is none": request("/at-once", "Content-Length: x"),
    "no request": b"hello\r\n\r\n",
    "a name with a space": request("/at-once", "X A: b"),
    "a null": request("/at-once", "X-A: \0"),
}


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """gunicorn's gthread."""
    with Served(tmp_path_factory.mktemp("usual"), worker="gthread") as running:
        yield running


def described(body: bytes) -> dict[str, str]:
    """The environment that the application saw, without what differs by connection."""
    found = json.loads(body)
    return {name: value for name, value in found.items() if name not in {"REMOTE_PORT", "SERVER_PORT", "PROCESS"}}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_requests_are_answered_by_the_loop(served, usual, name):
    """With the environment that gunicorn makes of them, the first time and from the remembered fields."""
    raw = PLAIN[name]
    status, fields, body = served.ask(raw)
    there = usual.ask(raw)

    assert (status, fields["x-way"], fields["connection"]) == (200, "loop", "keep-alive")
    assert {"date", "server", "content-length"} <= set(fields)
    if not raw.startswith(b"HEAD"):
        assert described(body) == described(there[2]) == described(served.ask(raw)[2])


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_requests_are_answered_by_a_thread(served, usual, name):
    """As gunicorn answers them."""
    status, fields, body = served.ask(UNUSUAL[name])
    there = usual.ask(UNUSUAL[name])

    assert (status, fields["x-way"]) == (200, "thread")
    assert fields["connection"] == there[1]["connection"]
    assert body == there[2] or described(body) == described(there[2])


@pytest.mark.parametrize("name", WRONG)
def test_wrong_requests_are_refused_as_by_gunicorn(served, usual, name):
    """With its status and sentence."""
    here, there = served.ask(WRONG[name]), usual.ask(WRONG[name])

    assert here[0] == there[0] >= 400
    assert here[2] == there[2]


def test_fields_of_one_are_not_those_of_another(served):
    """Requests over one connection differ by what differs in them."""
    with served.connect() as talk:
        for path, agent, tag in product(["/at-once/a", "/at-once/b"], "xy", [None, "1", None, "2"]):
            fields = [f"User-Agent: {agent}", *([f'If-None-Match: "{tag}"'] if tag else [])]
            seen = json.loads(talk.ask(request(path, *fields)).body)
            assert (seen["PATH_INFO"], seen["HTTP_USER_AGENT"]) == (path, agent)
            assert seen.get("HTTP_IF_NONE_MATCH") == (f'"{tag}"' if tag else None)
            assert seen["REMOTE_PORT"] == str(talk.sock.getsockname()[1])


def test_request_that_came_before_is_read_anew_where_it_differs(served):
    """The same bytes over another connection: nothing of the first one's is told again."""
    ports = set()
    for _ in range(2):
        with served.connect() as talk:
            for tag in (None, '"1"', None):
                fields = ["User-Agent: again", *([f"If-None-Match: {tag}"] if tag else [])]
                seen = json.loads(talk.ask(request("/at-once/again", *fields)).body)
                assert (seen["PATH_INFO"], seen.get("HTTP_IF_NONE_MATCH")) == ("/at-once/again", tag)
                assert seen["REMOTE_PORT"] == str(talk.sock.getsockname()[1])
                ports.add(seen["REMOTE_PORT"])
    assert len(ports) == 2


def test_requests_in_one_packet_are_answered_in_order(served):
    """Pipelined (RFC 9112 section 9.3.2): all, one after the other."""
    with served.connect() as talk:
        talk.send(request("/at-once/1") + request("/slow/2") + request("/at-once/3"))
        assert [json.loads(talk.read().body)["PATH_INFO"] for _ in range(3)] == ["/at-once/1", "/slow/2", "/at-once/3"]


def test_request_in_pieces_is_one(served):
    """Whatever packets it comes in."""
    raw = request("/at-once/x", "User-Agent: pieces")
    with served.connect() as talk:
        for start in range(0, len(raw), 7):
            talk.send(raw[start : start + 7])
        assert json.loads(talk.read().body)["HTTP_USER_AGENT"] == "pieces"


def test_loop_and_thread_share_a_connection(served):
    """One after the other, as requests come."""
    paths = ["/at-once", "/x?y", "/at-once", "/304", "/decided", "/at-once"]
    with served.connect() as talk:
        ways = [talk.ask(request(path)).fields["x-way"] for path in paths]

    assert ways == ["loop", "thread", "loop", "loop", "thread", "loop"]


def test_what_was_decided_reaches_the_thread(served):
    """And only that request."""
    with served.connect() as talk:
        assert json.loads(talk.ask(request("/decided/1")).body) == {"before": "/decided/1"}
        assert json.loads(talk.ask(request("/nothing")).body)["PATH_INFO"] == "/nothing"


def test_fault_of_the_loop_is_the_threads_work(served):
    """It is logged, and the request is answered."""
    assert served.ask(request("/broken")).fields["x-way"] == "thread"
    assert "broken on purpose" in served.log
    assert served.ask(request("/at-once")).fields["x-way"] == "loop"
