"""Who may upload: decided by the request's head as far as that goes, and by the form's name after it."""

import pytest

from pkgindex.accounts.models import Role, Token
from pkgindex.accounts.tokens import digest, seal
from pkgindex.catalog.models import File, Index, Project
from pkgindex.upload import views
from tests.support.distributions import form, wheel
from tests.support.uploads import Part, fields_of, multipart, post, upload_body

pytestmark = pytest.mark.django_db


def token_of(user, number: int = 7, **fields) -> str:
    secret = seal(number)
    Token.objects.create(user=user, name="ci", digest=digest(secret), hint="x", **{"scopes": ["upload"]} | fields)
    return secret


class Unread:
    """A body that must not be touched."""

    def read(self, *_size):
        raise AssertionError("the body was read")

    readline = read


def unread_post(client, address: str, length: int = 1000, **headers):
    """A POST whose body explodes when read, before the answer is complete."""
    return client.request(
        REQUEST_METHOD="POST",
        PATH_INFO=address,
        CONTENT_TYPE="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(length),
        **headers,
        **{"wsgi.input": Unread()},
    )


@pytest.fixture
def no_linger(monkeypatch):
    """Answers as they are before the rest of the body is thrown away."""
    monkeypatch.setattr(views.LingeringResponse, "close", lambda _response: None)


UNREAD = {
    "nobody": (None, "/legacy/", 401),
    "nobody at an index that is not": (None, "/i/nowhere/legacy/", 401),
    "wrong password": (("owner", "wrong"), "/legacy/", 401),
    "unknown token": (("__token__", seal(99)), "/legacy/", 401),
    "malformed token": (("__token__", "pypi-x"), "/legacy/", 401),
    "reader": (("reader", "reader-password"), "/legacy/", 403),
    "stranger": (("stranger", "stranger-password"), "/legacy/", 404),
    "owner at an index that is not": (("owner", "owner-password"), "/i/nowhere/legacy/", 404),
    "owner at another index": (("owner", "owner-password"), "/i/other/legacy/", 404),
}


@pytest.mark.parametrize("case", UNREAD)
def test_refused_by_its_head_alone(client, people, basic, no_linger, case):
    """Who has no business here is answered before a byte of the body is read; a challenge where one may help."""
    Index.objects.create(slug="other")
    credentials, address, status = UNREAD[case]
    answer = unread_post(client, address, **(basic(*credentials) if credentials else {}))
    assert answer.status_code == status
    assert answer.get("WWW-Authenticate", "").startswith("Basic realm=") == (status == 401)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"scopes": ["read"]}, 403),
        ({"scopes": ["upload"], "project_patterns": ["acme-*"]}, None),
        ({"scopes": ["upload"]}, None),
    ],
)
def test_token_without_scope_is_refused_by_its_head(client, people, basic, no_linger, fields, status):
    """A read token never gets to send a body; one for some projects does, since their name comes in the body."""
    secret = token_of(people.owner, **fields)
    if status is None:
        with pytest.raises(AssertionError, match="the body was read"):
            unread_post(client, "/legacy/", **basic("__token__", secret))
    else:
        assert unread_post(client, "/legacy/", **basic("__token__", secret)).status_code == status


def test_declared_size_is_refused_by_its_head(client, people, basic, no_linger):
    """A body that cannot fit is refused before it is read."""
    Index.objects.update(max_file_bytes=1000)
    answer = unread_post(client, "/legacy/", length=1001 + (32 << 20), **basic("uploader", "uploader-password"))
    assert answer.status_code == 400
    assert answer.reason_phrase.startswith("File too large. This index takes files of up to 1000 bytes.")


@pytest.mark.parametrize(
    ("visibility", "status", "sentence"),
    [
        ("private", 404, "There is no project 'other' here, or you may not see it."),
        ("public", 403, "The token 'ci' of user 'owner' isn't allowed to upload to project 'other'."),
    ],
)
def test_token_for_one_project_uploads_to_no_other(client, people, basic, visibility, status, sentence):
    """A token's patterns hold for the project in the form, before its file and after it."""
    Index.objects.update(visibility=visibility)
    secret = token_of(people.owner, project_patterns=["acme"])
    filename, content = wheel("other")
    late = multipart([Part("content", content, filename), *fields_of(form(filename, content, "other"))])
    for body in (upload_body(filename, content, name="other"), late):
        answer = post(client, "/legacy/", body, **basic("__token__", secret))
        assert (answer.status_code, answer.reason_phrase) == (status, sentence)
    assert post(client, "/legacy/", upload_body(*wheel()), **basic("__token__", secret)).status_code == 200


def test_role_on_a_project_uploads_there_and_creates_none(client, index, people, basic):
    """Somebody with a role on one project only may upload to it, sees no other and creates none."""
    project = Project.objects.create(index=index, name="acme", normalized_name="acme")
    Role.objects.create(user=people.stranger, project=project, rank="uploader")
    stranger = basic("stranger", "stranger-password")

    assert post(client, "/legacy/", upload_body(*wheel()), **stranger).status_code == 200
    answer = post(client, "/legacy/", upload_body(*wheel("other"), name="other"), **stranger)
    assert answer.status_code == 404
    assert Project.objects.count() == 1


def test_form_cannot_borrow_another_project_s_right(client, index, people, basic):
    """The name in the form gives the right; a file that says another name inside is refused."""
    project = Project.objects.create(index=index, name="acme", normalized_name="acme")
    Role.objects.create(user=people.stranger, project=project, rank="uploader")
    filename, content = wheel("other")
    stranger = basic("stranger", "stranger-password")
    answer = post(client, "/legacy/", upload_body(filename, content, name="acme"), **stranger)
    assert answer.status_code == 400
    assert not File.objects.exists()
