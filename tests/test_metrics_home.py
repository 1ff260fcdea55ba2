"""The folders of counts: one for each server, each worker in the sum, none left over."""

import json
import os
import subprocess
import sys
import time

import httpx

from pkgindex import metrics_home
from tests.quickstart.service import Service
from tests.support.prometheus import read


def test_folders_of_servers_that_are_gone_are_removed(tmp_path):
    """Those of this host whose process has ended; others' only when nothing has touched them for long."""
    host = metrics_home.of_this_process(tmp_path).name.rpartition(".")[0]
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    for name in (f"{host}.{done.pid}", f"{host}.{os.getppid()}", "elsewhere.7", "elsewhere.8", "notes"):
        (tmp_path / "metrics" / name).mkdir(parents=True)
        (tmp_path / "metrics" / name / "counter_1.db").write_bytes(b"")
    long_ago = time.time() - 8 * 86_400
    for path in (tmp_path / "metrics" / "elsewhere.8", tmp_path / "metrics" / "elsewhere.8" / "counter_1.db"):
        os.utime(path, (long_ago, long_ago))

    metrics_home.prepare(tmp_path)

    kept = {path.name for path in (tmp_path / "metrics").iterdir()}
    assert kept == {f"{host}.{os.getpid()}", f"{host}.{os.getppid()}", "elsewhere.7", "notes"}


def test_every_worker_is_in_the_sum(tmp_path):
    """Two workers under our gunicorn configuration: no request is missing, also after one of them was killed."""
    with Service(tmp_path / "data", "--no-worker", "--workers", "2") as service:
        service.wait_ready()

        def count() -> float:
            found = read(httpx.get(f"{service.url}/metrics", timeout=10, trust_env=False).text)
            return found.get('pkgindex_request_seconds_count{scope="web",status="4xx"}', 0)

        for _ in range(60):  # a new connection each: both workers get some
            assert httpx.get(f"{service.url}/nothing", timeout=10, trust_env=False).status_code == 404
        assert {count() for _ in range(10)} == {60}
        folder = next((service.directory / "metrics").iterdir())
        assert len(list(folder.glob("histogram_*.db"))) == 2
        master = service.part("pkgindex.wsgi")
        master.children()[0].kill()
        time.sleep(2)
        assert httpx.get(f"{service.url}/nothing", timeout=10, trust_env=False).status_code == 404
        assert {count() for _ in range(5)} == {61}
    with Service(tmp_path / "data", "--no-worker") as service:
        service.wait_ready()
        assert [path.name for path in (service.directory / "metrics").iterdir()] != [folder.name]
        assert len(list((service.directory / "metrics").iterdir())) == 1


def test_a_worker_that_ends_leaves_its_counts(tmp_path):
    """What it has answered in its loop since it last put that into the sum is in it, when it is told to end."""
    with Service(tmp_path / "data", "--no-worker") as service:
        service.wait_ready()
        name = 'pkgindex_request_seconds_count{scope="index",status="4xx"}'
        (worker,) = service.part("pkgindex.wsgi").children()
        token = json.loads((service.directory / "credentials.json").read_text())["token"]
        who = ("__token__", token)
        with httpx.Client(base_url=service.url, auth=who, timeout=10, trust_env=False) as client:
            for _ in range(50):
                assert client.get("/simple/nothing/").status_code == 404
            worker.terminate()
        worker.wait(20)
        assert read(httpx.get(f"{service.url}/metrics", timeout=20, trust_env=False).text)[name] == 50
