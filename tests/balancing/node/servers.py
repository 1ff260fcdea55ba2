"""Real servers for tests: a mirror node, nginx in front of one, S3, and servers that misbehave."""

import http.client
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from balancing.backends import NodeError
from balancing.buckets import Bucket
from balancing.node.client import NodeClient
from balancing.s3 import Place
from balancing.signing import Keyring, sign
from tests.standalone.servers import free_port

ROOT = Path(__file__).resolve().parents[3]
KEY = b"k" * 32
RING = Keyring("k1", {"k1": KEY}, "node-1")
FAR = int(time.time()) + 86_400


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def run(command, log, environment=None):
    """Start a process in a group of its own; what it says goes to a file."""
    with Path(log).open("ab") as file:
        more = {"env": {**os.environ, **(environment or {})}, "cwd": ROOT}
        return subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True, **more)


def kill(process, number=signal.SIGKILL):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    if number == signal.SIGKILL:
        process.wait(10)


class Server:
    """A mirror node behind gunicorn, on a port of its own that it keeps over restarts."""

    def __init__(self, root, *, reserve=0, accel="", name="node-1"):
        self.port, self.root, self.reserve, self.accel = free_port(), root, reserve, accel
        self.ring = Keyring("k1", {"k1": KEY}, name)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = NodeClient(self.url, self.ring)
        self.start()

    def start(self):
        own = {"MIRROR_ROOT": str(self.root), "MIRROR_KEYS": f"k1:{KEY.hex()}", "MIRROR_ID": self.ring.audience}
        command = [sys.executable, "-m", "gunicorn", "balancing.node.app:create()", "--threads", "24"]
        command += ["--bind", f"127.0.0.1:{self.port}", "--no-control-socket", "--keep-alive", "75"]
        environment = {**own, "MIRROR_RESERVE": str(self.reserve), "MIRROR_ACCEL": self.accel}
        self.process = run(command, f"{self.root}.log", environment)
        try:
            until(self.answers)
        except BaseException:
            self.kill()
            raise

    def answers(self):
        assert self.process.poll() is None, Path(f"{self.root}.log").read_text()
        try:
            return self.ask("GET", "/health", signed=False)[0].status == 200
        except OSError:
            return False

    def kill(self):
        """Kill the master and its worker as a power cut would."""
        kill(self.process)

    def stop(self):
        """Stop answering without closing anything; `go` goes on."""
        kill(self.process, signal.SIGSTOP)

    def go(self):
        kill(self.process, signal.SIGCONT)

    def path(self, digest):
        return self.root / digest[:2] / digest[2:4] / digest[4:]

    def ask(self, method, target, headers=None, *, body=None, signed=True):
        url = sign(method, target, self.ring, FAR) if signed else target
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, url, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def unfinished(self):
        return list((self.root / "tmp").iterdir())


class Proxy:
    """nginx with a configuration that we ship, changed to a test's ports and folders."""

    def __init__(self, folder, name, changes):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = (ROOT / "deploy/nginx" / name).read_text()
        for before, after in changes.items():
            assert before in text
            text = text.replace(before, after.format(port=self.port))
        user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
        spools = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {folder}/body; {spools}\n{text}\n}}\n"
        )

    def start(self):
        self.process = run(
            ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")], self.folder / "out"
        )
        until(self.answers)

    def answers(self):
        assert self.process.poll() is None, (self.folder / "out").read_text()
        return listens(self.port)

    def kill(self):
        kill(self.process)


class Nginx(Proxy):
    """In front of a node."""

    def __init__(self, folder, node):
        self.node = node
        changes = {
            "127.0.0.1:9100": f"127.0.0.1:{node.port}",
            "listen 9080": "listen 127.0.0.1:{port}",
            "/srv/mirror/": f"{node.root}/",
            "/var/log/nginx/mirror-node.log": f"{folder}/access.log",
        }
        super().__init__(folder, "mirror-node.conf", changes)
        self.start()


class S3:
    """moto's S3 as a process, with one bucket."""

    def __init__(self, folder):
        self.port, self.folder = free_port(), folder
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = run([sys.executable, "-m", "tests.balancing.s3service", str(self.port)], folder / "s3.log")
        until(self.answers)
        self.bucket = Bucket(Place("mirror", self.url, "eu-central-1", "pkg/"))
        with self.bucket._service.asking("create") as client:
            client.create_bucket(Bucket="mirror", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
            self.client = client

    def answers(self):
        assert self.process.poll() is None, (self.folder / "s3.log").read_text()
        return listens(self.port)

    def kill(self):
        kill(self.process)


def listens(port):
    with socket.socket() as sock:
        sock.settimeout(0.2)
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def misbehaving(behave):
    """A server that calls `behave(connection)` for each connection, in a thread; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done, open_ones = threading.Event(), []

        def serve(connection):
            with suppress(OSError), connection:
                behave(connection, done)

        def accept():
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    open_ones.append(connection)
                    threading.Thread(target=serve, args=[connection], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in open_ones:
                connection.close()


def silent(_connection, done):
    """Accept and never answer."""
    done.wait(60)


def saying(text):
    """Answer every request with the same bytes, then close."""

    def behave(connection, _done):
        connection.recv(65_536)
        connection.sendall(text)

    return behave


def dripping(head, body=b"x" * 10_000):
    """Send the head, then a byte of the body now and then."""

    def behave(connection, done):
        connection.recv(65_536)
        connection.sendall(head)
        for byte in body:
            if done.wait(0.05):
                break
            connection.sendall(bytes([byte]))

    return behave


HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>Sign in</h1"


def fails(code):
    """Within it a NodeError with this code is raised."""
    return pytest.raises(NodeError, check=lambda error: error.code == code)
