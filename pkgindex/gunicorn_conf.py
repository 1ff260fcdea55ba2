"""How gunicorn serves us: `gunicorn -c python:pkgindex.gunicorn_conf pkgindex.wsgi`, with --bind from the caller.

Each worker answers with threads, so a slow upload holds one thread and never the worker: `timeout` is about a worker
that hangs as a whole, not about a long request. Times are seconds.
"""

import gc
import os
import shutil
from typing import Any

from pkgindex import metrics_home
from pkgindex.env import data_dir, load

_env = load()

TMPFS = "/dev/shm"  # noqa: S108 - gunicorn makes its heartbeat file there under a name of its own

worker_class = "pkgindex.worker.loop.Worker"
workers = 2
# Measured: docs/decisions/0004-worker-class.md. Each thread that asks SQL keeps a database connection for a minute.
threads = _env.web_threads
timeout = 60
graceful_timeout = 10
keepalive = 65  # longer than a proxy in front keeps its side, so that the proxy closes first
backlog = 512

# The longest line is a page's path; the headers of every installer fit many times over.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

# Whose X-Forwarded-Proto is believed: the proxies that the operator named, as for addresses.
forwarded_allow_ips = ",".join(str(network) for network in _env.trusted_proxies)
forwarder_headers = ""

# The heartbeat file must not wait for a busy disk.
worker_tmp_dir = TMPFS if os.access(TMPFS, os.W_OK) else None
control_socket_disable = True
accesslog = None
errorlog = "-"

# Workers count into files that whichever of them is asked for /metrics adds up. The library looks for the folder when
# it is first imported, which happens in the workers.
os.environ[metrics_home.VARIABLE] = str(metrics_home.of_this_process(data_dir()))


def on_starting(_server: Any) -> None:
    """Make the folder of the counts, remove those of servers that are gone, and begin without pages."""
    metrics_home.prepare(data_dir())
    # Pages of before a restored backup carry serials that are given out anew.
    shutil.rmtree(data_dir() / "pages", ignore_errors=True)


def post_worker_init(_worker: Any) -> None:
    """Keep what is loaded from being looked through for garbage again and again: a sixth of the time of answers."""
    gc.collect()
    gc.freeze()


def child_exit(_server: Any, worker: Any) -> None:
    """Drop what a worker that ended counted of the present moment; its sums stay."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - after the folder is named

    mark_process_dead(worker.pid)
