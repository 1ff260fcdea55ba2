"""Limits on the index's own routes."""

import pytest
from django.contrib.auth.models import Group

from pkgindex.throttles import scope_of
from tests.support.distributions import form, wheel

JSON = "application/vnd.pypi.simple.v1+json"


def fetch(client, path: str, **headers):
    """The answer, its body closed as a server would."""
    answer = client.get(path, **headers)
    answer.close()
    return answer


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/simple/", "index"),
        ("GET", "/i/team/simple/acme/", "index"),
        ("GET", "/pypi/acme/json", "index"),
        ("GET", "/legacy/+simple/acme/", "index"),
        ("GET", "/packages/aa/bb/c/acme.whl", "download"),
        ("GET", "/packages/aa/bb/c/acme.whl.metadata", "metadata"),
        ("POST", "/legacy/", "upload"),
        ("POST", "/", "upload"),
        ("POST", "/i/team/legacy", "upload"),
        ("GET", "/api/v1/whoami/", "api"),
        ("GET", "/api/v1/usage/", None),
        ("GET", "/livez", None),
        ("GET", "/readyz", None),
        ("GET", "/static/pkgindex.css", None),
        ("GET", "/", "web"),
        ("GET", "/p/acme/", "web"),
        ("GET", "/i/team/p/acme/", "web"),
        ("POST", "/admin/login/", "web"),
        ("GET", "/nothing", "web"),
    ],
)
def test_scope_of_each_route(method, path, scope):
    """Every route belongs to one scope, and health, static files and usage to none."""
    assert scope_of(method, path) == scope


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("index", "/simple/acme/"),
        ("index", "/simple/"),
        ("index", "/pypi/acme/json"),
        ("metadata", "FILE.metadata"),
        ("download", "FILE"),
        ("api", "/api/v1/indexes/"),
        ("web", "/p/acme/"),
        ("web", "/"),
    ],
)
def test_each_route_is_limited_in_its_scope(client, public, plan, scope, path):
    """The third request in an hour is refused with 429, Retry-After and the name of the limit; other scopes go on."""
    plan("anon", few={"rate": "2/hour", "scopes": scope})
    file = client.get("/simple/acme/", HTTP_ACCEPT=JSON).json()["files"][0]["url"] if scope != "index" else ""
    path = path.replace("FILE", file)

    statuses = [fetch(client, path).status_code for _ in range(3)]
    refused = client.get(path)

    assert statuses == [200, 200, 429]
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["violated-policies"] == ["few"]
    assert '"few";r=0' in refused["RateLimit"]
    assert client.get("/livez").status_code == 200
    assert client.get("/simple/acme/" if scope != "index" else "/p/acme/").status_code == 200


@pytest.mark.parametrize("path", ["/simple/Acme/", "/simple/acme", "/simple/none-such/", "/pypi/acme/json"])
def test_answers_that_have_no_page_are_counted_too(client, public, plan, path):
    """Redirects and 404s cost a request like a page, and the third is refused."""
    plan("anon", few={"rate": "2/hour", "scopes": "index"})

    statuses = [client.get(path).status_code for _ in range(3)]

    assert statuses[2] == 429
    assert 429 not in statuses[:2]


def test_limits_with_a_redis_of_their_own(client, public, plan, settings, redis_server):
    """Where limits are kept elsewhere, pages ask two servers, and both say what they should."""
    settings.CACHES = settings.CACHES | {"limits": settings.CACHES["default"] | {"LOCATION": redis_server.url + "/7"}}
    settings.THROTTLING = settings.THROTTLING | {"CACHE": "limits"}
    plan("anon", few={"rate": "2/hour", "scopes": "index"})

    assert [client.get("/simple/acme/").status_code for _ in range(3)] == [200, 200, 429]


def test_short_limits_tell_installers_to_come_back_soon(client, public, plan):
    """A limit per second is answered with a whole Retry-After of one to three seconds."""
    plan("anon", pace="1/second")

    answers = [client.get("/simple/acme/") for _ in range(3)]

    assert answers[0].status_code == 200
    assert answers[0]["RateLimit-Policy"].startswith('"pace";q=1;w=1')
    assert answers[2].status_code == 429
    assert 1 <= int(answers[2]["Retry-After"]) <= 3


def test_upload_is_refused_before_its_body_is_read(client, plan, people, index, basic):
    """Beyond the limit an upload is told the limit's name in the reason phrase and nothing is stored."""
    plan("users", uploads={"rate": "1/hour", "scopes": "upload"})
    statuses = []
    for version in ("1.0", "2.0"):
        filename, content = wheel(version=version)
        from django.core.files.uploadedfile import SimpleUploadedFile

        data = form(filename, content, version=version) | {"content": SimpleUploadedFile(filename, content)}
        answer = client.post("/legacy/", data, **basic("uploader", "uploader-password"))
        statuses.append((answer.status_code, answer.reason_phrase))

    assert statuses[0] == (200, "OK")
    assert statuses[1][0] == 429
    assert "uploads" in statuses[1][1]
    assert index.files.count() == 1


def test_a_304_costs_nothing(client, public, plan):
    """Asking whether a page changed is free when it did not."""
    plan("anon", pages={"rate": "2/hour", "scopes": "index"})
    etag = client.get("/simple/acme/")["ETag"]

    statuses = [client.get("/simple/acme/", HTTP_IF_NONE_MATCH=etag).status_code for _ in range(5)]

    assert statuses == [304] * 5
    assert client.get("/simple/acme/").status_code == 200


def test_two_users_behind_one_address_are_two(client, people, index, plan, basic):
    """Who signs in has a bucket of their own, whatever the address; a forged header changes nothing."""
    plan("users", pages="1/hour")
    for name in ("reader", "owner"):
        headers = basic(name, f"{name}-password")
        answers = [client.get("/simple/", HTTP_X_FORWARDED_FOR=f"10.0.0.{i}", **headers) for i in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]


def test_groups_have_plans(client, people, index, plan, basic):
    """A group's plan limits its members and nobody else."""
    group = Group.objects.create(name="guests")
    people.reader.groups.add(group)
    plan(f"group:{group.pk}", pages="1/hour")

    reader = [client.get("/simple/", **basic("reader", "reader-password")).status_code for _ in range(2)]
    owner = [client.get("/simple/", **basic("owner", "owner-password")).status_code for _ in range(2)]

    assert (reader, owner) == ([200, 429], [200, 200])


def test_guessing_is_stopped_and_right_credentials_still_pass(client, people, index, plan, basic):
    """After three wrong passwords more guesses are refused, and whoever has the right ones is served."""
    plan("everyone", guesses={"rate": "3/hour", "scopes": "login"})
    wrong = [client.get("/simple/", **basic("reader", f"wrong-{i}")).status_code for i in range(5)]

    assert wrong == [401, 401, 401, 429, 429]
    assert client.get("/simple/", **basic("reader", "reader-password")).status_code == 200


def test_guessing_in_the_sign_in_form_is_stopped(client, people, plan):
    """The form counts too: a failure answers 200 with the form, and too many of them 429."""
    plan("everyone", guesses={"rate": "3/hour", "scopes": "login"})

    statuses = [client.post("/login/", {"username": "reader", "password": f"wrong-{i}"}).status_code for i in range(5)]

    assert statuses == [200, 200, 200, 429, 429]


def test_own_usage_is_shown_and_free(client, people, index, plan, basic):
    """`/api/v1/usage/` lists the limits with what is used, and asking for it is never counted."""
    plan("users", all="3/hour")
    headers = basic("reader", "reader-password")
    client.get("/simple/", **headers)

    answers = [client.get("/api/v1/usage/", **headers) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert answers[-1].json()["limits"][0]["used"] == 1


def test_redis_away_refuses_nobody(client, public, plan, redis_server):
    """Without the counting store each process limits for itself and every answer is an answer."""
    plan("anon", pages="100/hour")
    client.get("/simple/acme/")
    redis_server.stop()

    assert [client.get("/simple/acme/").status_code for _ in range(3)] == [200] * 3


def test_without_plans_nothing_is_counted(client, public):
    """A fresh installation limits nobody and tells of no limits."""
    answer = client.get("/simple/acme/")

    assert answer.status_code == 200
    assert "RateLimit" not in answer
