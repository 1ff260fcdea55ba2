"""`manage.py up` with mirror nodes."""

import json
import os
import time

import httpx

from tests.quickstart.service import Service
from tests.support.distributions import form, wheel


def upload(service: Service, token: str, version: str) -> str:
    """Publish a wheel of 300 KB; its digest."""
    filename, content = wheel("acme", version, files={"data.bin": os.urandom(300_000)})
    data, files = form(filename, content, "acme", version), {"content": (filename, content)}
    auth = ("__token__", token)
    answer = httpx.post(f"{service.url}/legacy/", data=data, files=files, auth=auth, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    page = service.get(
        "/simple/acme/", auth=("__token__", token), headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    return next(file["hashes"]["sha256"] for file in page.json()["files"] if file["filename"] == filename)


def replicated(service: Service, token: str, digest: str, seconds: float = 30) -> float:
    """How long until both nodes have a verified copy."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        lag = service.get(f"/api/v1/mirrors/lag/{digest}/", auth=("__token__", token)).json()
        if lag["copies"] == {"local-1": "verified", "local-2": "verified"}:
            return time.monotonic() - began
        time.sleep(0.05)
    raise AssertionError(lag)


def healthy(service: Service, names: set[str], seconds: float = 30) -> None:
    """Wait until exactly these nodes are healthy."""
    end = time.monotonic() + seconds
    while True:
        nodes = service.get("/status/", headers={"Accept": "application/json"}).json()["nodes"]
        if {node["name"] for node in nodes if node["healthy"] and node["state"] == "active"} == names:
            return
        assert time.monotonic() < end, nodes
        time.sleep(0.2)


def test_first_upload_is_soon_on_both_nodes_and_a_second_start_keeps_them(tmp_path):
    """Two nodes start with the service; files are on both soon; the next start has the same nodes and copies."""
    with Service(tmp_path / "data", "--nodes", "2") as service:
        service.wait_ready()
        token = json.loads((service.directory / "credentials.json").read_text())["token"]
        took = replicated(service, token, digest := upload(service, token, "1.0"))
        healthy(service, {"local-1", "local-2"})
        service.stop()
        assert service.is_gone(15)
    assert took < 15

    with Service(tmp_path / "data", "--nodes", "2") as service:
        service.wait_ready()
        assert replicated(service, token, digest) < 5
        healthy(service, {"local-1", "local-2"})

    with Service(tmp_path / "data", "--nodes", "0") as service:
        service.wait_ready()
        healthy(service, set())
        digest = upload(service, token, "2.0")
        assert service.get("/status/").status_code == 200
        assert len(digest) == 64
