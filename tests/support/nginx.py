"""nginx with the configuration that we ship, in front of a live server."""

import os
import shutil
from pathlib import Path
from typing import Self

import pytest

from tests.balancing.node.servers import Proxy
from tests.support.live import LiveServer

IN_FRONT = {"TRUSTED_PROXIES": "127.0.0.1", "ACCEL_REDIRECT_PREFIX": "/blobs/"}  # what the server behind needs to know


class Nginx(Proxy):
    """`with Nginx(folder, live) as front:` has `front.url`."""

    def __init__(self, folder: Path, live: LiveServer) -> None:
        if shutil.which("nginx") is None:
            assert not os.environ.get("CI"), "nginx is not installed"
            pytest.skip("nginx is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        changes = {
            "server unix:/run/pkgindex/web.sock": f"server 127.0.0.1:{live.port}",
            "listen 8080": "listen 127.0.0.1:{port}",
            "alias /srv/pkgindex/blobs/": f"alias {live.directory}/blobs/",
        }
        super().__init__(folder, "pkgindex.conf", changes)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()
