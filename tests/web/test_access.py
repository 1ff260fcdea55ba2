"""Who sees which page, and how a refusal looks."""

import pytest
from django.contrib.auth.models import Group

from pkgindex.accounts.models import Role
from pkgindex.catalog.models import Index
from tests.support.catalogue import add_wheel
from tests.web.html import read

HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
PRIVATE_PATHS = ["/p/acme/", "/p/none/", "/p/no%00ne/", "/i/main/", "/i/none/", "/i/main/p/acme/", "/i/none/p/acme/"]


@pytest.fixture
def acme(people, index):
    """A project in the private default index."""
    return add_wheel(index, "acme").release.project


@pytest.mark.parametrize("path", PRIVATE_PATHS)
def test_browser_without_session_is_sent_to_sign_in(client, acme, path):
    """Known and unknown names lead to the same place, so nothing shows which exist."""
    response = client.get(path, **HTML)

    assert response.status_code == 302
    assert response["Location"] == f"/login/?next={path.replace('%', '%25').replace('/', '%2F')}"
    assert "WWW-Authenticate" not in response


@pytest.mark.parametrize("path", PRIVATE_PATHS)
def test_other_clients_are_challenged(client, acme, path):
    """Whoever does not read HTML gets the 401 with its challenge."""
    response = client.get(path, HTTP_ACCEPT="*/*")

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("path", PRIVATE_PATHS)
def test_stranger_is_told_that_there_is_nothing(client, acme, people, path):
    """An account without a role sees the same 404 for what exists and for what does not."""
    client.force_login(people.stranger)

    response = client.get(path, **HTML)

    assert response.status_code == 404
    assert read(response.content.decode()).faults == []


@pytest.mark.parametrize("person", ["owner", "maintainer", "uploader", "reader"])
def test_members_see_pages_by_session(client, acme, people, person):
    """Every rank reads."""
    client.force_login(getattr(people, person))

    assert [client.get(path).status_code for path in ("/", "/p/acme/", "/i/main/", "/i/main/p/acme/")] == [200] * 4


def test_authorization_header_counts_and_wins_over_session(client, acme, people, basic):
    """Credentials in the header say who asks; wrong ones are refused and never ignored."""
    client.force_login(people.reader)

    assert client.get("/p/acme/", **basic("owner", "owner-password")).status_code == 200
    assert client.get("/p/acme/", **HTML, **basic("owner", "wrong")).status_code == 401
    assert client.get("/p/acme/", HTTP_AUTHORIZATION="Basic %%%").status_code == 401
    assert client.get("/", HTTP_AUTHORIZATION="Nonsense").status_code == 401


def test_role_on_one_project_shows_that_one_only(client, acme, people, index):
    """A guest of one project finds its index with nothing else in it."""
    add_wheel(index, "secret")
    Role.objects.create(user=people.stranger, project=acme, rank="reader")
    client.force_login(people.stranger)

    page = client.get("/").content.decode()

    assert "acme" in page
    assert "secret" not in page
    assert client.get("/p/acme/").status_code == 200
    assert client.get("/p/secret/").status_code == 404
    assert client.get("/?q=secret").context["projects"].lines == ()


def test_role_on_a_project_elsewhere_opens_no_index(client, acme, people):
    """Having a project in one index does not show that another index exists."""
    other = Index.objects.create(slug="other")
    Role.objects.create(user=people.stranger, project=add_wheel(other, "guest").release.project, rank="reader")
    client.force_login(people.stranger)

    assert client.get("/i/main/").status_code == 404
    assert client.get("/i/other/").status_code == 200
    assert ">main<" not in client.get("/").content.decode()


def test_group_role_counts(client, acme, people, index):
    """A role of a group is a role of its members."""
    group = Group.objects.create(name="team")
    people.stranger.groups.add(group)
    Role.objects.create(group=group, index=index, rank="reader")
    client.force_login(people.stranger)

    assert client.get("/p/acme/").status_code == 200


def test_deactivated_account_is_signed_out(client, acme, people):
    """A session of somebody who left shows nothing."""
    client.force_login(people.reader)
    people.reader.is_active = False
    people.reader.save()

    assert client.get("/p/acme/", **HTML).status_code == 302


def test_internal_index_is_for_everyone_who_signs_in(client, acme, people, index):
    """Internal means an account and no role."""
    Index.objects.filter(pk=index.pk).update(visibility="internal")
    assert client.get("/p/acme/", **HTML).status_code == 302

    client.force_login(people.stranger)

    assert client.get("/p/acme/").status_code == 200


def test_public_index_is_for_everyone(client, acme, index):
    """Public pages need no account, and what is not there is a 404."""
    Index.objects.filter(pk=index.pk).update(visibility="public")

    assert client.get("/").status_code == client.get("/p/acme/").status_code == 200
    assert client.get("/p/none/", **HTML).status_code == 404


@pytest.mark.parametrize("path", ["/", "/p/acme/", "/p/none/", "/login/"])
def test_pages_carry_their_headers(client, acme, people, path):
    """No foreign script, frame or crawler, and no shared cache."""
    client.force_login(people.reader)

    response = client.get(path, **HTML)

    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response["X-Robots-Tag"].startswith("noindex")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "private" in response["Cache-Control"] or "no-store" in response["Cache-Control"]
    assert "Cookie" in response["Vary"]


@pytest.mark.parametrize("path", ["/", "/p/acme/", "/robots.txt"])
def test_pages_are_only_read(client, acme, people, path):
    """HEAD answers without a body; PUT and DELETE are not methods of a page."""
    client.force_login(people.reader)

    head = client.head(path)

    assert (head.status_code, head.content) == (200, b"")
    assert client.put(path).status_code == client.delete(path).status_code == 405


def test_robots_are_turned_away(client):
    """robots.txt disallows everything, for everyone."""
    assert client.get("/robots.txt").content == b"User-agent: *\nDisallow: /\n"


def test_sign_in_leads_back_and_stays_on_this_host(client, people):
    """`next` is followed within this service only."""
    form = {"username": "reader", "password": "reader-password"}

    assert client.post("/login/", form | {"next": "/p/acme/"})["Location"] == "/p/acme/"
    assert client.post("/login/", form | {"next": "https://evil.example/"})["Location"] == "/"
    assert client.post("/login/", form | {"next": "//evil.example/"})["Location"] == "/"


def test_wrong_password_says_so_without_telling_which(client, people):
    """The same sentence for a wrong password and for nobody's name."""
    pages = [
        client.post("/login/", {"username": name, "password": "wrong"}).content.decode().replace(name, "")
        for name in ("reader", "nobody")
    ]

    assert all("The username or password is wrong" in page for page in pages)
    assert read(pages[0]).faults == []


def test_signing_out_takes_a_post(client, people):
    """A link or an image of a foreign page cannot sign anybody out."""
    client.force_login(people.reader)

    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/"
    assert "_auth_user_id" not in client.session
