"""Bans are told by mail and webhook as the environment says, through real servers, without a warning of Django's."""

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.quickstart.service import ROOT, clean_environment

TELL = """
import django; django.setup()
from throttling import notices
notices.announce("addr:192.0.2.66", "more than 5/hour", 60).join(20)
"""


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as one message needs (RFC 5321)."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        reading = False
        for line in self.rfile:
            word = line[:4].upper().strip()
            if reading and line != b".\r\n":
                self.server.heard.append(line.decode())  # type: ignore[attr-defined]
                continue
            reading = word == b"DATA"
            self.wfile.write(b"354 go on\r\n" if reading else b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


class Hook(socketserver.StreamRequestHandler):
    """One POST."""

    def handle(self) -> None:
        head = b"".join(iter(self.rfile.readline, b"\r\n"))
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        self.server.heard.append(self.rfile.read(length).decode())  # type: ignore[attr-defined]
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@contextmanager
def serve(handler: Any) -> Iterator[Any]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.heard = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_bans_are_told_by_mail_and_webhook(tmp_path):
    """EMAIL_URL, DEFAULT_FROM_EMAIL, LIMITS_MAIL_TO and LIMITS_WEBHOOKS are enough."""
    with serve(Mailbox) as mailbox, serve(Hook) as hook:
        environment = clean_environment(
            PKGINDEX_DATA=str(tmp_path),
            DJANGO_SETTINGS_MODULE="pkgindex.settings",
            EMAIL_URL=f"smtp://127.0.0.1:{mailbox.server_address[1]}",
            DEFAULT_FROM_EMAIL="index@example.org",
            LIMITS_MAIL_TO="ann@example.org,bob@example.org",
            LIMITS_WEBHOOKS=f"http://127.0.0.1:{hook.server_address[1]}/bans",
            PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", TELL],
            env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr
    text = "".join(mailbox.heard)
    assert "From: index@example.org" in text
    assert "To: ann@example.org, bob@example.org" in text
    assert "addr:192.0.2.66 is banned for 60 s" in text
    assert json.loads(hook.heard[0])["subject"] == "addr:192.0.2.66"
