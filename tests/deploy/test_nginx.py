"""nginx in front of the index, with the configuration that we ship."""

import hashlib
import os

import httpx
import pytest

from tests.support.distributions import form, wheel
from tests.support.live import LiveServer
from tests.support.nginx import IN_FRONT, Nginx

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """The index behind nginx, its files sent by nginx."""
    with LiveServer(tmp_path_factory.mktemp("behind"), more=IN_FRONT) as server:
        yield server


@pytest.fixture(scope="module")
def front(live, tmp_path_factory):
    with Nginx(tmp_path_factory.mktemp("nginx"), live) as running:
        yield running


@pytest.fixture(scope="module")
def client(front, live):
    with httpx.Client(base_url=front.url, auth=live.auth, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def file(client) -> dict:
    """A wheel of four megabytes, published through nginx."""
    filename, content = wheel("acme", files={"data.bin": os.urandom(4_000_000)})
    answer = client.post("/legacy/", data=form(filename, content, "acme"), files={"content": (filename, content)})
    assert answer.status_code == 200, answer.text
    (found,) = client.get("/simple/acme/", headers=JSON).json()["files"]
    return found | {"content": content}


def test_whole_file_and_parts_are_sent_by_nginx(client, file):
    """The bytes are right, the headers are those of the index, and Server says who sent them."""
    whole = client.get(file["url"])
    part = client.get(file["url"], headers={"Range": "bytes=1000000-1000099"})

    assert whole.headers["Server"] == "nginx"
    assert hashlib.sha256(whole.content).hexdigest() == file["hashes"]["sha256"]
    assert whole.headers["ETag"] == f'"{file["hashes"]["sha256"]}"'
    assert "immutable" in whole.headers["Cache-Control"]
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Vary"] == "Authorization, Cookie"
    assert (part.status_code, part.content) == (206, file["content"][1_000_000:1_000_100])
    assert client.get(file["url"], headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert client.head(file["url"]).headers["Content-Length"] == str(len(file["content"]))


@pytest.mark.parametrize("path", ["/blobs/", "/blobs/ab/cd/x", "/blobs/../blobs/ab"])
def test_blobs_cannot_be_asked_for(client, file, path):
    """The internal location is not there for anybody else."""
    digest = file["hashes"]["sha256"]

    assert client.get(path).status_code == 404
    assert client.get(f"/blobs/{digest[:2]}/{digest[2:4]}/{digest[4:]}").status_code == 404


def test_who_may_not_read_gets_nothing(front, file):
    """nginx sends only what the index allows."""
    answer = httpx.get(front.url + file["url"])

    assert answer.status_code == 401
    assert file["content"][:100] not in answer.content


def test_metadata_and_pages_pass_through(client, file):
    """What nginx does not send itself arrives as the index made it."""
    assert client.get(file["url"] + ".metadata").content.startswith(b"Metadata-Version")
    page = client.get("/simple/acme/", headers={"Accept-Encoding": "gzip"})
    assert (page.status_code, page.headers["Content-Encoding"]) == (200, "gzip")


def test_forged_address_is_not_believed(front, live, client, tmp_path):
    """Behind the proxy one anonymous client is one, whatever it says of itself."""
    plans = tmp_path / "plans.toml"
    plans.write_text('[plans.v]\nassign = ["anon"]\n[plans.v.limits]\nfew = {rate = "5/hour", scopes = ["web"]}\n')
    assert live.manage("limits", "apply", str(plans)).returncode == 0

    def refused() -> bool:
        return {
            httpx.get(f"{front.url}/status/", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
            for number in range(12)
        } == {200, 429}

    from tests.balancing.node.servers import until

    until(refused)


def test_refused_upload_is_told_before_the_body_is_through(client, live, front):
    """Nothing is spooled in nginx: a client without a right learns so although it announces a gigabyte."""
    with httpx.Client(base_url=front.url, timeout=30) as stranger:

        def endless():
            for _ in range(1_000):
                yield b"x" * 1_000_000

        try:
            answer = stranger.post(
                "/legacy/", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"}
            )
        except httpx.WriteError:
            return  # nginx closed what nobody reads
    assert answer.status_code in {401, 411, 400}
