"""Installing clients read a page that is sent from a file."""

import httpx
import pytest

from tests.support.distributions import form, wheel

pytestmark = pytest.mark.clients
NAME = "synthetic-0-large"


@pytest.fixture(scope="module")
def url(server) -> str:
    """The index's URL with credentials; a project has 8,000 files and a release that can be installed."""
    done = server.manage(
        "load_synthetic", "--projects", "1", "--files", "1", "--one-large", "8000", "--yes-i-know", "--json"
    )
    assert done.returncode == 0, done.stderr
    # The page is read before the upload, so that what clients read is put together from it.
    for accept in ("application/vnd.pypi.simple.v1+json", "text/html"):
        assert httpx.get(f"{server.url}/simple/{NAME}/", headers={"Accept": accept}, auth=server.auth).is_success
    filename, content = wheel(NAME, "999.0")
    answer = httpx.post(
        f"{server.url}/legacy/",
        data=form(filename, content, NAME, "999.0"),
        files={"content": (filename, content)},
        auth=server.auth,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return f"http://__token__:{server.token}@127.0.0.1:{server.port}/simple/"


def installed(target) -> set[str]:
    return {path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info")}


def test_pip_installs_from_a_large_page(url, run, tmp_path):
    """pip decodes the page in the coding that it asks for and finds the newest release."""
    run("pip", "install", "--index-url", url, "--target", str(tmp_path / "t"), NAME)

    assert installed(tmp_path / "t") == {"synthetic_0_large-999.0"}


def test_uv_installs_from_a_large_page(url, run, tmp_path):
    """So does uv."""
    run("uv", "pip", "install", "--index-url", url, "--target", str(tmp_path / "t"), NAME)

    assert installed(tmp_path / "t") == {"synthetic_0_large-999.0"}


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity"])
@pytest.mark.parametrize("accept", ["application/vnd.pypi.simple.v1+json", "text/html"])
def test_every_coding_over_http(server, url, accept, coding):
    """gunicorn's sendfile sends as many bytes as were announced, and the connection can be used again."""
    with httpx.Client(base_url=server.url, auth=server.auth) as reader:
        for _ in range(3):
            headers = {"Accept": accept, "Accept-Encoding": coding}
            with reader.stream("GET", f"/simple/{NAME}/", headers=headers) as answer:
                raw = b"".join(answer.iter_raw())
            assert answer.headers["Content-Length"] == str(len(raw))
            assert reader.get(f"/simple/{NAME}/", headers=headers).text.count(f"{NAME.replace('-', '_')}-999.0") > 0
            tag = {"If-None-Match": answer.headers["ETag"]}
            assert reader.get(f"/simple/{NAME}/", headers=headers | tag).status_code == 304
            assert reader.head(f"/simple/{NAME}/", headers=headers).headers["Content-Length"] == str(len(raw))
