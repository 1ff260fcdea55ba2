"""How gunicorn serves us: `gunicorn -c python:pkgindex.gunicorn_conf pkgindex.wsgi`, with --bind from the caller.

Each worker answers with threads, so a slow upload holds one thread and never the worker: `timeout` is about a worker
that hangs as a whole, not about a long request. Times are seconds.
"""

import os

from pkgindex.env import load

TMPFS = "/dev/shm"  # noqa: S108 - gunicorn makes its heartbeat file there under a name of its own

worker_class = "gthread"
workers = 2
threads = 8
timeout = 60
graceful_timeout = 10
keepalive = 65  # longer than a proxy in front keeps its side, so that the proxy closes first
backlog = 512

# The longest line is a page's path; the headers of every installer fit many times over.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

# Whose X-Forwarded-Proto is believed: the proxies that the operator named, as for addresses.
forwarded_allow_ips = ",".join(str(network) for network in load().trusted_proxies)
forwarder_headers = ""

# The heartbeat file must not wait for a busy disk.
worker_tmp_dir = TMPFS if os.access(TMPFS, os.W_OK) else None
control_socket_disable = True
accesslog = None
errorlog = "-"
