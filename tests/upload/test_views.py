"""The upload door: who may, what is answered, and that nothing is left of what was refused."""

import json

import pytest
from django.core.files.storage import storages
from django.db import OperationalError

from pkgindex.accounts.models import Role
from pkgindex.audit.models import AuditEntry
from pkgindex.blobs import store
from pkgindex.blobs.models import Blob
from pkgindex.catalog.models import File, Index, JournalEntry, Project, Release
from tests.support.distributions import form, sdist, wheel
from tests.support.uploads import Part, fields_of, multipart, post, upload_body

pytestmark = pytest.mark.django_db

ADDRESSES = ["/legacy/", "/legacy", "/i/main/legacy/", "/i/main/legacy"]
UV_ACCEPT = "application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7"


@pytest.fixture
def uploader(people, basic):
    return basic("uploader", "uploader-password")


def leftovers(settings) -> list:
    return list(settings.SPOOL_DIR.iterdir()) if settings.SPOOL_DIR.exists() else []


@pytest.mark.parametrize("address", [*ADDRESSES, "/"])
def test_wheel_is_published_at_every_address(client, index, uploader, settings, address):
    """A wheel becomes rows and bytes, journalled and audited, at each address and without a redirect."""
    filename, content = wheel("Acme.Tools", "1.0", "Requires-Python: >=3.9", "Summary: Tools.")

    answer = post(client, address, upload_body(filename, content, name="Acme.Tools"), **uploader)

    assert (answer.status_code, answer.content) == (200, b"")
    file = File.objects.select_related("release__project").get()
    assert (file.filename, file.packagetype, file.python_version) == (filename, "bdist_wheel", "py3")
    assert (file.requires_python, file.size, file.uploaded_by.username) == (">=3.9", len(content), "uploader")
    assert (file.release.project.name, file.release.project.normalized_name) == ("Acme.Tools", "acme-tools")
    assert (file.release.version, file.release.summary) == ("1.0", "Tools.")
    with store.open_blob(file.blob_id) as stored:
        assert stored.read() == content
    with store.open_blob(file.metadata_blob_id) as stored:
        assert stored.read().startswith(b"Metadata-Version: 2.1\nName: Acme.Tools")
    actions = list(JournalEntry.objects.order_by("serial").values_list("action", flat=True))
    assert actions == ["create project", "add file"]
    assert AuditEntry.objects.filter(action="add file", actor_label="uploader").exists()
    assert Role.objects.filter(user__username="uploader", project=file.release.project, rank="owner").exists()
    assert leftovers(settings) == []


def test_sdist_is_published(client, uploader, index):
    """An sdist with static metadata (2.2 and later) has a `.metadata` file too."""
    filename, content = sdist(core="2.2")
    answer = post(client, "/legacy/", upload_body(filename, content, metadata_version="2.2"), **uploader)
    assert answer.status_code == 200, answer.content
    assert File.objects.get().packagetype == "sdist"
    assert File.objects.get().metadata_blob is not None


@pytest.mark.parametrize("file_at", [0, 5, 99])
def test_fields_may_come_in_any_order(client, uploader, index, file_at):
    """The file may be the first, a middle or the last part."""
    filename, content = wheel()
    parts = fields_of(form(filename, content))
    parts.insert(file_at, Part("content", content, filename))
    answer = post(client, "/legacy/", multipart(parts), **uploader)
    assert answer.status_code == 200, answer.content


def test_action_in_the_query_counts(client, uploader, index):
    """`:action` may stand in the URL instead of the form, as PyPI allows."""
    filename, content = wheel()
    fields = form(filename, content)
    del fields[":action"]
    body = multipart([*fields_of(fields), Part("content", content, filename)])
    assert post(client, "/legacy/?:action=file_upload", body, **uploader).status_code == 200


def test_other_index_takes_its_own_files(client, people, basic, admin_user):
    """`/i/<slug>/legacy/` publishes there, under the same filename as elsewhere."""
    other = Index.objects.create(slug="other")
    filename, content = wheel()
    for address in ("/legacy/", "/i/other/legacy/"):
        answer = post(client, address, upload_body(filename, content), **basic("root", "root-password"))
        assert answer.status_code == 200
    assert File.objects.filter(index=other).count() == 1
    assert Blob.objects.count() == 2


def test_same_file_again_changes_nothing(client, uploader, index, settings):
    """Identical bytes are answered 200 and journalled once: CI jobs repeat themselves."""
    filename, content = wheel()
    for _ in range(2):
        assert post(client, "/legacy/", upload_body(filename, content), **uploader).status_code == 200
    assert File.objects.count() == 1
    assert JournalEntry.objects.count() == 2
    assert leftovers(settings) == []


def test_lost_bytes_are_replaced_by_the_same_upload(client, uploader, index):
    """Where the storage lost a published file, uploading it again heals it."""
    filename, content = wheel()
    post(client, "/legacy/", upload_body(filename, content), **uploader)
    file = File.objects.get()
    for sha256 in (file.blob_id, file.metadata_blob_id):
        storages["blobs"].delete(store.blob_name(sha256))

    assert post(client, "/legacy/", upload_body(filename, content), **uploader).status_code == 200

    assert store.is_whole(file.blob_id, file.size)
    assert store.is_whole(file.metadata_blob_id, file.metadata_blob.size)
    assert JournalEntry.objects.count() == 2


REFUSED = {
    "other content": ({}, {"description": "other"}, 400, "File already exists ('acme-1.0-py3-none-any.whl', with"),
    "unknown action": ({":action": "frobnicate"}, {}, 400, "Unknown :action 'frobnicate'"),
    "old action": ({":action": "submit"}, {}, 410, "Registering a project"),
    "protocol": ({"protocol_version": "2"}, {}, 400, "Unknown protocol version."),
    "digest": ({"sha256_digest": "0" * 64}, {}, 400, "The digest supplied does not match"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_stands_in_reason_phrase_and_body(client, uploader, index, settings, case):
    """twine and poetry print the reason phrase, flit and curl the body; the same sentence is in both."""
    fields, changes, status, sentence = REFUSED[case]
    post(client, "/legacy/", upload_body(*wheel()), **uploader)
    filename, content = wheel(**changes)

    answer = post(client, "/legacy/", upload_body(filename, content, **fields), **uploader)

    assert answer.status_code == status
    assert answer.reason_phrase.startswith(sentence)
    assert answer.content.decode() == answer.reason_phrase
    assert answer["Content-Type"].startswith("text/plain")
    assert File.objects.count() == 1
    assert leftovers(settings) == []


def test_uv_gets_json_of_exactly_that_type(client, uploader, index):
    """uv reads the message only from `application/json` without a charset."""
    answer = post(client, "/legacy/", multipart([]), HTTP_ACCEPT=UV_ACCEPT, **uploader)
    assert answer["Content-Type"] == "application/json"
    told = json.loads(answer.content)
    assert told["code"] == f"400 {told['message']}"
    assert told["message"].startswith("Unknown :action")
    assert told["title"] == "Bad Request"


def test_reason_phrase_cannot_be_broken_by_input(client, uploader, index):
    """Line ends and control characters of a field do not reach the status line."""
    fields = form(*wheel(), filetype="x\r\nSet-Cookie: a=b\x00\x1b")
    answer = post(client, "/legacy/", multipart([*fields_of(fields), Part("content", b"x", "a.whl")]), **uploader)
    assert answer.status_code == 400
    assert answer.reason_phrase.isprintable()


def test_form_without_file_is_refused(client, uploader, index):
    """All fields and no file is a sentence, not an error of ours."""
    answer = post(client, "/legacy/", multipart(fields_of(form(*wheel()))), **uploader)
    assert (answer.status_code, answer.content) == (400, b"Upload payload does not have a file.")


@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_other_methods_are_told_what_this_is_for(client, index, method, address):
    """405 with Allow and a sentence; uv takes it as a hint at a wrong URL."""
    answer = getattr(client, method)(address)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert method == "head" or b"uploads" in answer.content


FAILING = {
    "disk full in the spool": ("pkgindex.upload.spool.Spool.write", OSError(28, "No space left on device")),
    "disk full in the storage": ("pkgindex.blobs.store.put", OSError(28, "No space left on device")),
    "database locked": ("pkgindex.catalog.changes.Change.note", OperationalError("database is locked")),
}


@pytest.mark.parametrize("case", FAILING)
def test_failing_storage_is_503_and_stores_nothing(client, uploader, index, settings, monkeypatch, case):
    """A fault of ours is told as one, and what had arrived is gone."""
    target, error = FAILING[case]

    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(target, fail)
    answer = post(client, "/legacy/", upload_body(*wheel()), **uploader)
    assert answer.status_code == 503
    assert answer.reason_phrase.startswith("The file could not be stored just now")
    assert not File.objects.exists()
    assert not Project.objects.exists()
    assert not Release.objects.exists()
    assert leftovers(settings) == []
