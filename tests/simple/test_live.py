"""Pages through real processes: what one writes, the other shows."""

import httpx
import pytest

from tests.support.live import LiveServer

ADD = """
from pkgindex.catalog.models import Index
from tests.support.catalogue import add_wheel
add_wheel(Index.objects.get(), "{name}", "1.{number}")
"""
HEADERS = {"Accept": "application/vnd.pypi.simple.v1+json"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Two gunicorns on one database and one Redis, as two hosts would be."""
    home = tmp_path_factory.mktemp("pages")
    with LiveServer(home) as first:
        first.evaluate("Index.objects.update(visibility='public')")
        _add(first, "acme", 0)
        second = LiveServer(home, redis_database=first.redis_database).start()
        yield first, second
        second.stop()


def _add(server: LiveServer, name: str, number: int) -> None:
    done = server.manage("shell", "--no-imports", "-c", ADD.format(name=name, number=number))
    assert done.returncode == 0, done.stderr


def test_a_change_of_one_process_is_seen_by_all(servers):
    """After each change made by a third process, both servers show it in their first answer."""
    for number in range(3):
        _add(servers[0], "beta", number)
        for server in servers:
            page = httpx.get(f"{server.url}/simple/beta/", headers=HEADERS).json()
            assert page["versions"] == [f"1.{n}" for n in range(number + 1)]


@pytest.mark.parametrize(("coding", "sent"), [("gzip", "gzip"), ("gzip, zstd", "zstd"), ("identity", None)])
def test_coded_page_over_http(servers, coding, sent):
    """A real client decodes each coding, and the announced length is that of what was sent."""
    with httpx.stream("GET", f"{servers[0].url}/simple/", headers=HEADERS | {"Accept-Encoding": coding}) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers.get("Content-Encoding") == sent
    assert response.headers["Content-Length"] == str(len(raw))


def test_post_leaves_the_connection_usable(servers):
    """An upload sent to the pages is refused with a sentence, whatever its size."""
    response = httpx.post(f"{servers[0].url}/simple/", content=b"x" * 200_000)

    assert response.status_code == 405
    assert "upload to /legacy/" in response.text
    assert "Traceback" not in servers[0].log


def test_encoded_plus_reaches_the_page_for_hatch(servers):
    """The address as hatch writes it, with a percent-encoded plus, is served."""
    response = httpx.get(f"{servers[0].url}/legacy/%2Bsimple/acme/")

    assert response.status_code == 200
    assert ">acme-1.0-py3-none-any.whl</a>" in response.text


def test_start_empties_the_folder_of_pages(tmp_path):
    """What lies there may be of before a restored backup, whose serials are given out anew."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "old.json").write_text("{}")

    with LiveServer(tmp_path, options=("--config", "python:pkgindex.gunicorn_conf")) as server:
        assert httpx.get(f"{server.url}/livez").status_code == 200
        assert not (tmp_path / "pages" / "old.json").exists()
