"""`manage.py up --nginx` and `--tls`: the whole installation behind nginx, by one command."""

import json
import os
import shutil
import signal
import ssl
import subprocess

import httpx
import pytest
from django.core.management.base import CommandError

from pkgindex.quickstart.credentials import CREDENTIALS_FILE
from pkgindex.quickstart.front import Front, _secure
from pkgindex.quickstart.private import CERTIFICATE
from tests.quickstart.service import Service, clean_environment, run_up
from tests.support.clients import client_environment
from tests.support.distributions import form, wheel

for program in ("nginx", "openssl", "curl"):
    if shutil.which(program) is None:
        assert not os.environ.get("CI"), f"{program} is not installed"
        pytest.skip(f"{program} is not installed", allow_module_level=True)


@pytest.fixture(scope="module", params=["--nginx", "--tls"])
def service(request, tmp_path_factory):
    with Service(tmp_path_factory.mktemp("front") / "data", request.param, "--no-worker") as running:
        yield running.wait_ready()


@pytest.fixture(scope="module")
def url(service) -> str:
    scheme = "https" if (service.directory / CERTIFICATE).exists() else "http"
    assert f"pkgindex is ready: {scheme}://127.0.0.1:{service.port}/" in service.log
    return f"{scheme}://127.0.0.1:{service.port}"


@pytest.fixture(scope="module")
def verify(service) -> ssl.SSLContext | bool:
    certificate = service.directory / CERTIFICATE
    return ssl.create_default_context(cafile=str(certificate)) if certificate.exists() else False


@pytest.fixture(scope="module")
def secret(service) -> str:
    return json.loads((service.directory / CREDENTIALS_FILE).read_text())["token"]


@pytest.fixture(scope="module")
def client(url, verify, secret):
    with httpx.Client(base_url=url, auth=("__token__", secret), verify=verify, trust_env=False, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def page(client) -> dict:
    """A project that was uploaded through nginx, as its page has it."""
    filename, content = wheel("acme", files={"data.bin": os.urandom(3_000_000)})
    answer = client.post("/legacy/", data=form(filename, content, "acme"), files={"content": (filename, content)})
    assert answer.status_code == 200, answer.text
    return client.get("/simple/acme/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}).json()


def test_upload_page_and_file_go_through_nginx(service, client, page):
    """The file is sent by nginx itself, with the index's own headers."""
    answer = client.get(page["files"][0]["url"])

    assert (answer.status_code, len(answer.content)) == (200, page["files"][0]["size"])
    assert (answer.headers["Server"], answer.headers["Accept-Ranges"]) == ("nginx", "bytes")
    assert answer.headers["ETag"] == f'"{page["files"][0]["hashes"]["sha256"]}"'


def test_web_processes_listen_on_a_socket_of_the_data_directory(service, page):
    """Nobody gets past nginx."""
    gunicorn = service.part("pkgindex.wsgi")

    assert f"unix:{service.directory}/web.sock" in gunicorn.cmdline()
    assert [one for one in gunicorn.net_connections("inet") if one.status == "LISTEN"] == []


def test_http2_where_there_is_tls(service, url, page, secret):
    """A client that speaks it gets it, for pages and for files alike."""
    if url.startswith("http:"):
        pytest.skip("browsers and installers speak HTTP/2 over TLS alone")
    certificate = ["--cacert", str(service.directory / CERTIFICATE), "--noproxy", "*"]
    for path in ("/simple/acme/", page["files"][0]["url"]):
        show = ["--silent", "--output", os.devnull, "--write-out", "%{http_version} %{http_code}"]
        command = ["curl", "--http2", *certificate, *show, "--user", f"__token__:{secret}", url + path]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        assert said == "2 200"


INSTALLERS = {"uv": ("uv", "pip"), "pip": ("pip", "--isolated")}


@pytest.mark.clients
@pytest.mark.parametrize("installer", INSTALLERS)
def test_installers_believe_the_certificate(service, url, page, secret, tmp_path, installer):
    """With the variables that the welcome names, and nothing else."""
    program, *first = INSTALLERS[installer]
    certificate = service.directory / CERTIFICATE
    told = {"SSL_CERT_FILE": str(certificate), "REQUESTS_CA_BUNDLE": str(certificate)} if certificate.exists() else {}
    index = url.replace("://", f"://__token__:{secret}@") + "/simple/"
    command = [str(client_environment(program) / program), *first, "install", "--no-cache-dir", "--index-url", index]
    environment = clean_environment(UV_NO_CONFIG="1", **told)

    target = ["--target", str(tmp_path), page["name"]]
    done = subprocess.run([*command, *target], capture_output=True, timeout=60, env=environment, check=False)

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("acme-*.dist-info"))


def test_administration_can_be_signed_in_to(service, url, verify):
    """Its forms hold behind nginx: the scheme and the host that the browser sees are those that Django sees."""
    kept = json.loads((service.directory / CREDENTIALS_FILE).read_text())
    with httpx.Client(base_url=url, verify=verify, trust_env=False) as browser:
        browser.get("/admin/login/")
        fields = {"username": kept["username"], "password": kept["password"], "next": "/admin/"}
        fields["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        answer = browser.post("/admin/login/", data=fields, headers={"Origin": url})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_second_start_keeps_the_certificate_and_leaves_nothing(tmp_path):
    """What clients were told to believe stays; Ctrl-C ends nginx too."""
    seen = []
    for _ in range(2):
        with Service(tmp_path / "data", "--tls", "--no-worker") as running:
            running.wait_ready()
            seen.append((tmp_path / "data" / CERTIFICATE).read_bytes())
            assert "SSL_CERT_FILE" in running.log
            running.stop(signal.SIGINT)
            assert running.is_gone(10)
    assert seen[0] == seen[1]
    assert (tmp_path / "data" / CERTIFICATE).stat().st_mode & 0o777 == 0o600


def test_data_directory_that_is_too_deep_for_a_socket(tmp_path):
    """It is said in a sentence, before anything is started."""
    done = run_up("--data", str(tmp_path / ("d" * 120)), "--nginx", "--nodes", "0")

    assert done.returncode == 1
    assert "too long for a socket" in done.stderr


def test_without_nginx(tmp_path, monkeypatch):
    """What has to be installed is said."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(CommandError, match="no nginx on PATH"):
        Front(tmp_path, "127.0.0.1:1", tls=False).command()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("nginx version: nginx/1.22.1", " ssl http2;"),
        ("nginx version: nginx/1.25.1 (Debian)", " ssl;\n    http2 on;"),
        ("nginx version: nginx/1.30.0", " ssl;\n    http2 on;"),
    ],
)
def test_http2_is_spelled_as_this_nginx_wants_it(tmp_path, said, expected):
    """Since 1.25.1 it is a directive of its own."""
    program = tmp_path / "nginx"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(0o755)

    assert _secure(str(program), tmp_path / "tls.pem").startswith(expected)
