"""Upload requests, well-formed and not: multipart bodies made by hand, and sockets that stop where a test wants."""

import base64
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from tests.support.distributions import form

BOUNDARY = "----pkgindex0123456789abcdef"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Part:
    """One part of a form; `filename` makes it a file, `kind` is its Content-Type, None for none at all."""

    name: str
    data: bytes
    filename: str | None = None
    kind: str | None = "application/octet-stream"
    headers: tuple[str, ...] = ()

    def encode(self) -> bytes:
        lines = [f'Content-Disposition: form-data; name="{self.name}"']
        if self.filename is not None:
            lines[0] += f'; filename="{self.filename}"'
            lines += [f"Content-Type: {self.kind}"] if self.kind is not None else []
        return "\r\n".join([*lines, *self.headers]).encode() + b"\r\n\r\n" + self.data


def multipart(parts: Iterable[Part], closing: bytes = b"--\r\n") -> bytes:
    """The body of a form with these parts in order."""
    delimiter = f"--{BOUNDARY}".encode()
    return b"".join(delimiter + b"\r\n" + part.encode() + b"\r\n" for part in parts) + delimiter + closing


def fields_of(fields: Mapping[str, object]) -> list[Part]:
    """Text parts; a list makes a repeated field."""
    parts = []
    for name, value in fields.items():
        parts += [Part(name, str(one).encode()) for one in (value if isinstance(value, list) else [value])]
    return parts


def upload_body(filename: str, content: bytes, **more: object) -> bytes:
    """The body that twine would send for this file."""
    return multipart([*fields_of(form(filename, content, **more)), Part("content", content, filename)])


def post(client, path: str, body: bytes, **headers: object):
    """Send a form by Django's test client."""
    return client.generic("POST", path, body, KIND, **headers)


def basic_header(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


@dataclass
class RawUpload:
    """A connection on which a test sends exactly what it likes."""

    port: int
    path: str = "/legacy/"
    auth: tuple[str, str] | None = None
    headers: tuple[str, ...] = ()
    seconds: float = 20.0
    sock: socket.socket = field(init=False)

    def __enter__(self) -> Self:
        self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=self.seconds)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.sock.close()

    def send_head(self, length: int | None, *, kind: str = KIND) -> None:
        lines = [f"POST {self.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", *self.headers]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if self.auth is not None:
            lines.append(f"Authorization: {basic_header(*self.auth)}")
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read_answer(self) -> tuple[int, str, str]:
        """Status, reason phrase and body of one answer."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        length = next(int(line.split(":")[1]) for line in rest if line.lower().startswith("content-length:"))
        while len(body) < length:
            body += self._more()
        _, status, reason = first.split(" ", 2)
        return int(status), reason, body.decode()

    def _more(self) -> bytes:
        data = self.sock.recv(65536)
        assert data, "the connection was closed before the answer was complete"
        return data


def wait_until(true, seconds: float = 10.0) -> None:
    """Return when `true()` is; raises AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.02)
