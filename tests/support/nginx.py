"""nginx with the configuration that we ship, with other ports and folders, in front of a live server."""

import os
import pwd
import shutil
from pathlib import Path
from typing import Self

import pytest

from tests.balancing.node.servers import kill, listens, run, until
from tests.support.live import ROOT, LiveServer
from tests.support.servers import free_port

IN_FRONT = {"TRUSTED_PROXIES": "127.0.0.1", "ACCEL_REDIRECT_PREFIX": "/blobs/"}  # what the server behind needs to know


class Nginx:
    """`with Nginx(folder, live) as front:` has `front.url`."""

    def __init__(self, folder: Path, live: LiveServer) -> None:
        if shutil.which("nginx") is None:
            assert not os.environ.get("CI"), "nginx is not installed"
            pytest.skip("nginx is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = (ROOT / "deploy/nginx/pkgindex.conf").read_text()
        changes = {
            "server 127.0.0.1:8000": f"server 127.0.0.1:{live.port}",
            "listen 8080": f"listen 127.0.0.1:{self.port}",
            "alias /srv/pkgindex/blobs/": f"alias {live.directory}/blobs/",
        }
        for before, after in changes.items():
            assert before in text
            text = text.replace(before, after)
        user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
        spools = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {folder}/body; {spools}\n{text}\n}}\n"
        )

    def __enter__(self) -> Self:
        command = ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        self.process = run(command, self.folder / "out.log")
        until(self._answers)
        return self

    def __exit__(self, *_exception: object) -> None:
        kill(self.process)

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "out.log").read_text()
        return listens(self.port)
