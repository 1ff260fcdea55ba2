"""Among many rows that are done, beat's questions find the few by an index."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from balancing.models import Node, Replica
from balancing.replication import comparing, queries, rows, scrubbing, taking, walking
from balancing.source import Wanted

pytestmark = pytest.mark.django_db

HEX = "a" * 64
WHOLE = re.compile(r"SCAN (balancing_replica|U0)(?! USING (COVERING )?INDEX balancing_replica_(due|lease))")
QUESTIONS = {
    "expire": rows.expire,
    "due": lambda: queries.due(100),
    "due without a node": lambda: queries.due(100, {"n2"}),
    "backlog": lambda: queries.backlog(100),
    "next waiting": lambda: queries.next_waiting("n1"),
    "next buried": lambda: queries.next_buried("n1"),
    "copying": lambda: queries.copying("n1"),
    "take any": lambda: taking.take_any("n1"),
    "take": lambda: taking.take(HEX, "n1"),
    "take a tombstone": lambda: taking.take_tombstone(HEX, "n1"),
    "want": lambda: rows.want("n1", {HEX: 1}),
    "bury": lambda: rows.bury(Replica.objects.filter(digest__in=[HEX])),
    "damaged": lambda: rows.damaged(HEX, "n1", ""),
    "sent": lambda: rows.sent([(HEX, "n1")]),
    "oldest": lambda: scrubbing.oldest("n1", timezone.now()),
    "compare a page": lambda: comparing._table("n1", HEX, "b" * 64),
    "clear tombstones": lambda: rows.clear_tombstones("n1"),
    "verified": lambda: queries.verified("n1"),
    "unfinished": lambda: queries.unfinished(["n1", "n2"]),
    "last error": lambda: queries.last_error("n1"),
    "transfers under way": queries.under_way,
    "a step of the walk": lambda: walking._step([Wanted(HEX, 1, 1)] * walking.BATCH, "", None, []),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plans")
def test_no_question_reads_the_whole_table(question):
    """Every statement searches an index of the table, and the narrow one where there are two."""
    for name in ("n1", "n2"):
        Node.objects.create(name=name, url="http://127.0.0.1:1")
    with CaptureQueriesContext(connection) as captured:
        QUESTIONS[question]()
    statements = [one["sql"] for one in captured if re.match("SELECT|UPDATE|DELETE", one["sql"])]
    assert statements
    for sql in statements:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + sql.replace("%", "%%"))
            plan = [row[3] for row in cursor.fetchall()]
        for line in plan:
            assert not WHOLE.match(line), sql
            assert not re.search(r"INDEX balancing_replica_node_id_\w+ \(node_id=\?\)$", line), f"{line}: {sql}"
