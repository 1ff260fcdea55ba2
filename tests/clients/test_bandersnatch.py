"""A mirror made by bandersnatch in its `simple` mode, from a public index."""

import hashlib
import json
import subprocess

import httpx
import pytest

from tests.support.clients import client_environment
from tests.support.distributions import sdist, wheel
from tests.support.live import LiveServer
from tests.support.servers import ended_environment

pytestmark = pytest.mark.clients

CONFIGURATION = """\
[mirror]
directory = {directory}
master = {master}
api-method = simple
allow-non-https = true
json = true
timeout = 10
workers = 2
hash-index = false
stop-on-error = true
verifiers = 1
compare-method = hash
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A live server whose default index is public and holds two projects."""
    with LiveServer(tmp_path_factory.mktemp("live")) as live:
        live.evaluate("Index.objects.update(visibility='public')")
        yield live


def test_mirror(server, tmp_path):
    """Every project is mirrored with its files, and a second run follows what changed in between."""
    built = [wheel("acme", "1.0"), sdist("acme", "1.0"), wheel("Beta.Tools", "2.0+local.1")]
    names = ["acme", "acme", "Beta.Tools"]
    for name, (filename, content) in zip(names, built, strict=True):
        _upload(server, name, filename, content)
    configuration = tmp_path / "bandersnatch.conf"
    configuration.write_text(CONFIGURATION.format(directory=tmp_path / "mirror", master=server.url))

    _mirror(configuration, tmp_path)

    mirrored = {
        path.name: path.read_bytes() for path in (tmp_path / "mirror/web/packages").rglob("*") if path.is_file()
    }
    assert mirrored == dict(built)
    document = json.loads((tmp_path / "mirror/web/json/beta-tools").read_text())
    assert document["info"]["name"] == "Beta.Tools"
    status = (tmp_path / "mirror/status").read_text().strip()
    serial = httpx.get(f"{server.url}/simple/").headers["X-PyPI-Last-Serial"]
    assert status == serial

    later = wheel("acme", "1.1")
    _upload(server, "acme", *later)
    _mirror(configuration, tmp_path)
    assert later[0] in {path.name for path in (tmp_path / "mirror/web/packages").rglob("*")}


def _mirror(configuration, home) -> None:
    program = client_environment("bandersnatch") / "bandersnatch"
    done = subprocess.run(
        [str(program), "-c", str(configuration), "mirror"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=ended_environment(HOME=str(home)),
    )
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr, done.stderr


def _upload(server, name: str, filename: str, content: bytes) -> None:
    version = filename.removesuffix(".tar.gz").split("-")[1]
    is_wheel = filename.endswith(".whl")
    data = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": name,
        "version": version,
        "filetype": "bdist_wheel" if is_wheel else "sdist",
        "pyversion": "py3" if is_wheel else "source",
        "sha256_digest": hashlib.sha256(content).hexdigest(),
    }
    response = httpx.post(
        f"{server.url}/legacy/", data=data, files={"content": (filename, content)}, auth=server.auth, timeout=30
    )
    assert response.status_code == 200, response.text
