"""Bytes, concurrency and pace of downloads."""

import re
import time

import pytest

JSON = "application/vnd.pypi.simple.v1+json"


def fetch(client, path: str, **headers):
    """The answer, its body closed as a server would."""
    answer = client.get(path, **headers)
    answer.close()
    return answer


def test_bytes_are_charged_by_file_size(client, public, plan):
    """A quota in bytes lets as many files through as fit; ranges cost the file, metadata costs nothing."""
    url = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"]
    size = public.files.get().size
    plan("anon", traffic={"rate": f"{size * 2}B/day calendar", "scopes": "download"})

    def read_whole() -> int:
        answer = client.get(url)
        if answer.streaming:
            b"".join(answer.streaming_content)
        answer.close()
        return answer.status_code

    assert fetch(client, f"{url}.metadata").status_code == 200
    assert [read_whole() for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("more", [{}, {"at-once": {"rate": "9 concurrent", "scopes": "download"}}])
def test_bytes_that_were_not_sent_are_given_back(client, public, plan, more):
    """Who closes a download without reading it is charged nothing, whether the server or we send the file."""
    url = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"]
    size = public.files.get().size
    plan("anon", traffic={"rate": f"{size}B/day calendar", "scopes": "download"}, **more)

    assert [fetch(client, url).status_code for _ in range(3)] == [200] * 3


def test_request_bytes_and_lease_are_one_decision(client, public, plan, round_trips):
    """A download asks the limits once and ends its lease once; a file that is not there is counted as a request."""
    url = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"]
    limits = {"often": "9/day fixed", "much": "9GB/day", "at-once": "9 concurrent"}
    plan("anon", **{name: {"rate": rate, "scopes": "download"} for name, rate in limits.items()})
    answers = []

    def read_whole() -> None:
        answers.append(client.get(url))
        b"".join(answers[-1].streaming_content)
        answers[-1].close()

    read_whole()
    assert round_trips(read_whole) == 2
    answers.append(client.get(url.replace(".whl", ".zip")))
    left = [re.search(r'"often";r=(\d)', answer["RateLimit"])[1] for answer in answers]
    assert ([answer.status_code for answer in answers], left) == ([200, 200, 404], ["8", "7", "6"])


def test_concurrent_downloads_are_leases(client, public, plan):
    """One download at a time: the second is refused while the first is being read, and served when it has ended."""
    url = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"]
    plan("anon", **{"at-once": {"rate": "1 concurrent", "scopes": "download"}})

    first = client.get(url)
    chunks = iter(first.streaming_content)
    head = next(chunks)
    during = fetch(client, url)
    rest = b"".join(chunks)
    first.close()
    after = client.get(url)

    assert (first.status_code, during.status_code, after.status_code) == (200, 429, 200)
    assert len(head + rest) == public.files.get().size == len(b"".join(after.streaming_content))
    after.close()


def test_range_that_cannot_be_met_costs_no_bytes_and_keeps_no_lease(client, public, plan):
    """What is refused gives back its bytes and its lease."""
    url = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"]
    size = public.files.get().size
    plan(
        "anon", one={"rate": "1 concurrent", "scopes": "download"}, some={"rate": f"{size}B/day", "scopes": "download"}
    )

    statuses = [fetch(client, url, HTTP_RANGE="bytes=99999999-").status_code for _ in range(3)]

    assert statuses == [416] * 3
    answer = client.get(url)
    assert answer.status_code == 200
    assert len(b"".join(answer.streaming_content)) == size
    answer.close()


def test_bandwidth_is_shared_by_a_callers_downloads(client, public, plan):
    """A limit in bytes a second of the scope `bandwidth` slows the stream, and the bytes stay the same."""
    url = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"]
    size = public.files.get().size
    plan("anon", pace={"rate": f"{size}B/s burst={size // 4}", "scopes": "bandwidth"})
    began = time.monotonic()

    answer = client.get(url)
    body = b"".join(answer.streaming_content)
    answer.close()

    assert len(body) == size
    assert time.monotonic() - began > 0.5


def test_nginx_is_told_the_pace(client, public, plan, settings):
    """In accel mode the pace stands in X-Accel-Limit-Rate, divided by the downloads that nginx still sends."""
    url = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"]
    settings.ACCEL_REDIRECT_PREFIX = "/blobs/"
    plan(
        "anon", pace={"rate": "1000000B/s", "scopes": "bandwidth"}, most={"rate": "9 concurrent", "scopes": "download"}
    )

    rates = [client.get(url)["X-Accel-Limit-Rate"] for _ in range(2)]

    assert rates == ["1000000", "500000"]
