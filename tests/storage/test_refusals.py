"""What is refused for want of room, when, and in which words."""

import random

import pytest

from pkgindex.blobs.models import Blob
from pkgindex.catalog.models import File, Index
from pkgindex.upload.linger import LingeringResponse
from pkgindex.upload.spool import Spool
from tests.storage.files import FILES, MIB, SIZE, even, fail, nothing_left, used, user
from tests.support.distributions import form, wheel
from tests.support.uploads import Part, fields_of, multipart, post
from tests.upload.test_permissions import unread_post
from throttling import services, usage
from throttling.models import Limit, Plan
from throttling.subjects import Caller

pytestmark = pytest.mark.django_db(transaction=True)


def test_files_of_the_tests_are_of_one_size():
    """The tests count in files."""
    assert [len(content) for _, content in FILES] == [SIZE] * 9


@pytest.mark.parametrize(
    ("subject", "scopes", "whose"),
    [
        ("users", "", "you have"),
        ("users", "storage", "you have"),
        ("everyone", "project-storage", "project 'main/acme' has"),
        ("everyone", "index-storage", "index 'main' has"),
        ("key:project:main/acme", "project-storage", "project 'main/acme' has"),
        ("key:index:main", "index-storage", "index 'main' has"),
    ],
)
def test_each_holder_is_limited_by_name(send, plan, settings, subject, scopes, whose):
    """Two files fit; the third is refused in the reason phrase by the limit's name, whose it is, and the way out."""
    plan(subject, 2 * SIZE + 1, scopes)

    answers = [send(file) for file in FILES[:3]]

    assert [answer.status_code for answer in answers] == [200, 200, 400]
    refused = answers[2].reason_phrase
    assert refused.startswith(f"Storage limit 'disk' is reached: {whose} ")
    assert refused.endswith("Delete files, or ask an administrator for more.")
    assert answers[2].content.decode() == refused
    assert "already exist" not in refused
    assert "Retry-After" not in answers[2]
    assert (File.objects.count(), Blob.objects.count()) == (2, 4)
    assert list(settings.SPOOL_DIR.iterdir()) == []


def test_a_refusal_of_the_first_file_leaves_nothing(send, plan, settings, index):
    """Neither a project nor bytes."""
    plan("users", SIZE - 1)
    assert send(FILES[0]).status_code == 400
    assert nothing_left(settings)


def test_each_project_and_each_index_has_its_own(send, plan, admin_user):
    """A plan of everyone is a bucket for each; a plan of one project takes its place."""
    Index.objects.create(slug="other")
    plan("everyone", SIZE, "project-storage")
    plan("key:project:main/bigger", 4 * len(even("bigger")[1]), "project-storage")

    assert [send(file).status_code for file in FILES[:2]] == [200, 400]
    assert send(FILES[0], "root", "/i/other/legacy/").status_code == 200
    assert send(FILES[1], "root", "/i/other/legacy/").status_code == 400
    assert [send(even("bigger", f"{n}.0")).status_code for n in range(4)] == [200] * 4


def test_other_limits_count_an_upload_once(send, plan, people):
    """A limit on requests is charged one request, whatever is decided about storage, and says nothing in headers."""
    plan("users", 10 * SIZE)
    row = Plan.objects.get()
    services.save(Limit(plan=row, name="requests", rate="100/hour"), actor="test")

    answers = [send(file) for file in FILES[:3]]

    assert [answer.status_code for answer in answers] == [200] * 3
    found = {line.name: line.used for line in usage.of_caller(Caller(**user(people.uploader)))}
    assert found == {"requests": 3, "disk": 3 * SIZE}


def test_declared_too_large_is_refused_before_the_body_is_read(client, people, basic, plan, settings, monkeypatch):
    """What cannot fit is refused by its declared length: nothing of the body is asked for."""
    monkeypatch.setattr(LingeringResponse, "close", lambda _response: None)
    plan("users", 3 * MIB)

    answer = unread_post(client, "/legacy/", 4 * MIB, **basic("uploader", "uploader-password"))
    assert answer.status_code == 400
    assert answer.reason_phrase.startswith("Storage limit 'disk' is reached: you have 0 B of 3.2 MB")
    assert nothing_left(settings)


def test_a_full_project_is_refused_where_the_file_begins(send, plan, settings, monkeypatch):
    """Its name is known then, and not one byte of the file is kept."""
    assert send(FILES[0]).status_code == 200
    plan("everyone", SIZE, "project-storage")
    written = []
    monkeypatch.setattr(Spool, "write", lambda _self, data: written.append(len(data)))

    assert send(FILES[1]).reason_phrase.startswith("Storage limit 'disk' is reached: project 'main/acme'")
    assert written == []


def test_a_form_that_begins_with_its_file_is_judged_at_the_end(client, people, basic, plan, settings):
    """Neither user nor project is got round by sending the name last; nothing is stored."""
    plan("everyone", SIZE - 1, "project-storage")
    filename, content = FILES[0]
    body = multipart([Part("content", content, filename), *fields_of(form(filename, content))])
    answer = post(client, "/legacy/", body, **basic("uploader", "uploader-password"))
    assert answer.reason_phrase.startswith("Storage limit 'disk' is reached: project 'main/acme' has 0 B of")
    assert nothing_left(settings)


def test_what_is_there_already_costs_nothing(send, plan, people):
    """The same file again is content though there is no room; other bytes of that name get their own reason."""
    assert send(FILES[0]).status_code == 200
    plan("users", SIZE)

    assert [send(FILES[0]).status_code for _ in range(3)] == [200] * 3
    assert used(**user(people.uploader)) == [SIZE]
    assert send(wheel(description="other")).reason_phrase.startswith("File already exists")
    assert send(FILES[1]).status_code == 400


def test_a_large_file_that_is_there_already_is_content_too(send, plan):
    """Its declared length alone would be refused."""
    filename, content = wheel(files={"noise.bin": random.Random(5).randbytes(MIB)})
    assert send((filename, content)).status_code == 200
    plan("users", len(content))
    assert send((filename, content)).status_code == 200
    other = wheel(version="2.0", files={"noise.bin": random.Random(6).randbytes(MIB // 2)})
    assert send(other).reason_phrase.startswith("Storage limit")


def test_fields_need_no_room(send, plan):
    """A description that is larger than the room left does not count: the file alone is kept."""
    plan("users", SIZE)
    assert send(FILES[0], description="x" * 100_000).status_code == 200


@pytest.mark.parametrize("case", ["broken file", "wrong digest", "storage fails", "database fails"])
def test_what_fails_costs_nothing(send, plan, people, monkeypatch, case):
    """Whatever refuses the file, the room is free again."""
    plan("users", SIZE)
    filename, content = FILES[0]
    fields = {"sha256_digest": "0" * 64} if case == "wrong digest" else {}
    with monkeypatch.context() as patch:
        if case == "storage fails":
            patch.setattr("pkgindex.blobs.store.put", fail)
        if case == "database fails":
            patch.setattr("pkgindex.catalog.changes.Change.note", fail)
        answer = send((filename, content[:-50] if case == "broken file" else content), **fields)
    assert answer.status_code in {400, 503}
    assert used(**user(people.uploader)) == [0]
    assert send(FILES[0]).status_code == 200
