"""Files through a real gunicorn, which hands them to the kernel's sendfile."""

import random
import socket
import subprocess
import sys

import httpx
import pytest

from tests.support.live import ROOT, LiveServer

SIZE = 3_000_001  # several socket buffers, and no multiple of a block
CONTENT = random.Random(7).randbytes(SIZE)

ADDING = f"""
import random
from django.utils import timezone
from pkgindex.catalog.models import File, Index
from pkgindex.catalog.paths import file_path
from tests.support.catalogue import _blob, add_wheel
content = random.Random(7).randbytes({SIZE})
Index.objects.update(visibility="public")
file = add_wheel(Index.objects.get(), blob=_blob(content), size={SIZE})
print(file_path(file.blob_id, file.filename))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with LiveServer(tmp_path_factory.mktemp("downloads"), workers=2) as live:
        yield live


@pytest.fixture(scope="module")
def url(server) -> str:
    """The address of a file of SIZE bytes in the server's public index."""
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", ADDING],
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return f"{server.url}/{done.stdout.strip()}"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, CONTENT),
        ("bytes=0-0", CONTENT[:1]),
        ("bytes=1000-", CONTENT[1000:]),
        ("bytes=1234567-2345678", CONTENT[1234567:2345679]),
        ("bytes=-10000", CONTENT[-10000:]),
        (f"bytes=-{SIZE * 2}", CONTENT),
    ],
)
def test_exact_bytes(url, field, expected):
    """Whole files and parts arrive byte for byte, with the length that was announced."""
    response = httpx.get(url, headers={"Range": field} if field else {})

    assert response.status_code == (206 if field else 200)
    assert response.content == expected
    assert response.headers["Content-Length"] == str(len(expected))
    assert "content-encoding" not in response.headers


def test_one_connection_serves_many_parts(url):
    """Parts on one kept connection do not run into each other, so nothing is sent beyond a part."""
    with httpx.Client() as client:
        for start in range(0, SIZE, 500_000):
            end = min(start + 499_999, SIZE - 1)
            response = client.get(url, headers={"Range": f"bytes={start}-{end}"})
            assert response.content == CONTENT[start : end + 1]
        assert client.head(url).headers["Content-Length"] == str(SIZE)
        assert client.get(url, headers={"Range": f"bytes={SIZE}-"}).status_code == 416


def test_resume_after_a_broken_connection(url):
    """What pip does when a connection breaks: the rest, on the condition that it is the same file."""
    with httpx.stream("GET", url) as response:
        etag = response.headers["ETag"]
        first = next(response.iter_bytes(100_000))

    rest = httpx.get(url, headers={"Range": f"bytes={len(first)}-", "If-Range": etag})

    assert rest.status_code == 206
    assert first + rest.content == CONTENT


def test_clients_that_leave_early_cost_nothing(server, url):
    """Connections dropped in the middle leave no open file and no error behind."""
    host, port = "127.0.0.1", server.port
    for _ in range(20):
        with socket.create_connection((host, port), 5) as sock:
            path = url.removeprefix(server.url)
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            sock.recv(1000)

    assert httpx.get(url).content == CONTENT
    assert "Traceback" not in server.log
