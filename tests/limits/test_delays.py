"""Requests that are held back, through a real gunicorn: they must not stop the others."""

import threading
import time

import httpx
import pytest

from tests.support.distributions import form, wheel
from tests.support.live import LiveServer

THREADS, STRANGERS = 8, 24
PLANS = '[plans.v]\nassign = ["anon"]\n[plans.v.limits]\nslow = "1/2 seconds burst=1 delay=2s"\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One process of eight threads with a public index, whose strangers get a page every two seconds."""
    directory = tmp_path_factory.mktemp("live")
    (directory / "plans.toml").write_text(PLANS)
    options = ("--keep-alive", "65")  # as ours; gunicorn's own two seconds end while a client waits
    with LiveServer(directory, threads=THREADS, more={"TRUSTED_PROXIES": "127.0.0.1"}, options=options) as live:
        filename, content = wheel()
        answer = httpx.post(
            f"{live.url}/legacy/",
            data=form(filename, content),
            files={"content": (filename, content)},
            auth=live.auth,
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        assert live.evaluate("Index.objects.update(visibility='public')") == 1
        assert live.manage("limits", "apply", str(directory / "plans.toml")).returncode == 0
        time.sleep(2)  # a plan is in force everywhere within two seconds
        yield live


def test_others_are_served_at_once_while_many_are_held_back(server):
    """Three times as many are to be held back as there are threads: seven threads hold, the rest is refused."""
    answers, over = [], threading.Event()

    def stranger(number: int) -> None:
        with httpx.Client(headers={"X-Forwarded-For": f"198.51.100.{number}"}, timeout=20) as client:
            while not over.is_set():
                answers.append(client.get(f"{server.url}/simple/acme/"))
                over.wait(int(answers[-1].headers.get("Retry-After", 0)))

    threads = [threading.Thread(target=stranger, args=(number,)) for number in range(STRANGERS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    waits = []
    try:
        with httpx.Client(auth=server.auth, timeout=20) as client:
            for path in ["/livez", "/simple/acme/"] * 15:
                begun = time.monotonic()
                assert client.get(f"{server.url}{path}").status_code == 200
                waits.append(time.monotonic() - begun)
                time.sleep(0.1)
    finally:
        over.set()
        for thread in threads:
            thread.join(20)

    assert max(waits) < 1
    assert {answer.status_code for answer in answers} == {200, 429}
    assert max(answer.elapsed.total_seconds() for answer in answers if answer.status_code == 200) > 1
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.headers["Retry-After"] for answer in refused} <= {"1", "2", "3"}
    assert all('"slow";r=0' in answer.headers["RateLimit"] for answer in refused)
