"""Our worker for gunicorn: hits are answered where requests arrive, and threads do the rest. Asks Django nothing.

gunicorn's `gthread` gives every request to a thread. For a page that is ready, handing over and the threads' contest
for the interpreter's lock cost several times what the answer does (docs/decisions/0010-hits-on-the-loop.md). `Worker`
in `pkgindex.worker.loop` is a `gthread` whose main loop first asks the application for the answers that it has at once,
for all requests that have come in meanwhile (`at_once` of `pkgindex.hits.Hits`), and sends them as sockets take them.
What is not answered so goes to a thread, as ever.
"""

# In the environment of WSGI: what the application had decided about a request that it did not answer at once.
DECIDED = "pkgindex.decided"

# And what anybody has found out about the header fields that requests have in common: all of them but this one,
FIELDS = "pkgindex.fields"
TAGS = "HTTP_IF_NONE_MATCH"  # which is another for every page that a client knows.

# And what anybody has found out about requests that have all bytes in common: a dictionary, by whoever that was.
SAME = "pkgindex.same"

LINES = {200: "200 OK", 304: "304 Not Modified", 404: "404 Not Found"}
