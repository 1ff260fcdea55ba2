"""What a worker answers in its loop is in the metrics as if each answer had been counted alone."""

import pytest
from django.core.handlers.wsgi import WSGIHandler
from prometheus_client import generate_latest

from pkgindex import metrics
from pkgindex.hits import Hits
from pkgindex.shortway import Reply
from pkgindex.tally import Tally
from tests.support.gateway import ask, environ_of, nobody
from tests.support.prometheus import read
from throttling.decision import Decision
from throttling.lines import NOTHING

PASSED, ALONE = Decision(True, "index"), Decision(True, "download", answer=NOTHING._replace(degraded=True))
ANSWERED = [
    ([Reply(200, [], (), "index", [PASSED])] * 3 + [None, Reply(404, [], (), "index", [PASSED])], 0.004),
    ([Reply(304, [], (), "index", []), Reply(200, [], (), "download", [ALONE], 700)], 0.005),
    ([Reply(200, [], (), "index", [PASSED]), Reply(200, [], (), "download", [PASSED, ALONE], 77)], 0.3),
    ([Reply(200, [], (), "metadata", [])] * 2, 60.0),
]


def counted(work):
    """What the work adds to the metrics; times of creation aside."""
    before = read(generate_latest(metrics.here).decode())
    work()
    after = read(generate_latest(metrics.here).decode())
    return {
        name: pytest.approx(value - before.get(name, 0))
        for name, value in after.items()
        if value != before.get(name, 0) and "_created" not in name
    }


def one_by_one():
    """As whoever answers alone counts."""
    for replies, seconds in ANSWERED:
        for one in filter(None, replies):
            metrics.note(one.scope, one.status, seconds, one.decisions)
            metrics.download_bytes.inc(one.charged)


def test_sums_are_what_each_alone_would_have_been():
    """Requests, their times, decisions with the store and without it, charges given back, bytes."""
    tally = Tally()

    def together():
        for replies, seconds in ANSWERED:
            tally.add(replies, seconds)
        tally.flush()

    found = counted(together)
    assert found == counted(one_by_one)
    assert found['pkgindex_request_seconds_bucket{le="0.005",scope="index",status="2xx"}'] == 3
    assert found["pkgindex_download_bytes_total"] == 777


def test_nothing_is_counted_twice():
    """A second look finds only what came since."""
    tally = Tally()
    tally.add(*ANSWERED[0])
    tally.flush()
    assert counted(tally.flush) == {}


@pytest.mark.django_db(transaction=True)
def test_a_worker_counts_once_a_second(public):
    """Until its upkeep, what it has answered at once is in no metric; then all of it is."""
    page, hits, replies = environ_of("/simple/acme/"), Hits(nobody), []
    ask(WSGIHandler(), dict(page))

    def answer():
        replies.extend(hits.at_once([dict(page) for _ in range(5)]))

    assert counted(answer) == {}
    assert [reply.status for reply in replies] == [200] * 5
    assert counted(hits.upkeep)['pkgindex_request_seconds_count{scope="index",status="2xx"}'] == 5
