"""Who may fetch which file: the rows decide, knowing a digest grants nothing."""

import pytest

from pkgindex.accounts.models import Role
from pkgindex.accounts.roles import Rank
from pkgindex.catalog.models import Index, Project
from pkgindex.catalog.paths import file_path
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)


def fetch(client, path: str, headers: dict[str, str]):
    response = client.get(path, **headers)
    response.getvalue()
    return response


@pytest.mark.parametrize("suffix", ["", ".metadata"])
@pytest.mark.parametrize(
    ("visibility", "persona", "status"),
    [
        ("public", "", 200),
        ("public", "stranger", 200),
        ("internal", "", 401),
        ("internal", "stranger", 200),
        ("private", "", 401),
        ("private", "stranger", 404),
        ("private", "reader", 200),
        ("private", "uploader", 200),
        ("private", "root", 200),
    ],
)
def test_status_by_visibility_and_persona(
    client, index, people, admin_user, basic, visibility, persona, status, suffix
):
    """Each persona fetches what the visibility of the index grants, files and metadata alike."""
    Index.objects.filter(pk=index.pk).update(visibility=visibility)
    file = add_wheel(index)
    headers = basic(persona, f"{persona}-password") if persona else {}

    response = fetch(client, "/" + file_path(file.blob_id, file.filename) + suffix, headers)

    assert response.status_code == status
    if status == 401:
        assert response["WWW-Authenticate"] == 'Basic realm="main"'
    if status == 200:
        scope = "public" if visibility == "public" else "private"
        assert response["Cache-Control"] == f"{scope}, max-age=31536000, immutable"
        assert response.get("Vary") == (None if visibility == "public" else "Authorization, Cookie")


def test_unknown_file_of_a_private_index(client, index, people, basic):
    """Where the default index is private, anonymous callers get the same answer for a file that does not exist."""
    path = "/" + file_path("ab" * 32, "acme-1.0-py3-none-any.whl")

    assert fetch(client, path, {}).status_code == 401
    assert fetch(client, path, basic("stranger", "stranger-password")).status_code == 404
    assert fetch(client, path, basic("reader", "reader-password")).status_code == 404


def test_same_bytes_in_two_indexes(client, index, people, basic):
    """A public row beside a private one opens the bytes to everyone at once, and shared caches may keep them."""
    file = add_wheel(index)
    path = "/" + file_path(file.blob_id, file.filename)
    assert fetch(client, path, {}).status_code == 401

    add_wheel(Index.objects.create(slug="open", visibility="public"))

    for headers in ({}, basic("stranger", "stranger-password")):
        response = fetch(client, path, headers)
        assert response.status_code == 200
        assert response["Cache-Control"].startswith("public")


def test_new_row_of_known_bytes_is_fetched_at_once(client, index, people, basic):
    """Bytes known from an index that the caller may not see can be fetched as soon as a row of theirs exists."""
    file = add_wheel(index)
    path = "/" + file_path(file.blob_id, file.filename)
    stranger = basic("stranger", "stranger-password")
    assert fetch(client, path, stranger).status_code == 404

    add_wheel(Index.objects.create(slug="inside", visibility="internal"))

    assert fetch(client, path, stranger).status_code == 200


def test_role_on_the_project(client, index, people, basic):
    """A role on one project opens the files of that project alone."""
    mine, other = add_wheel(index), add_wheel(index, "other")
    Role.objects.create(
        user=people.stranger, project=Project.objects.get(normalized_name="acme"), rank=Rank.READER.value
    )
    stranger = basic("stranger", "stranger-password")

    assert fetch(client, "/" + file_path(mine.blob_id, mine.filename), stranger).status_code == 200
    assert fetch(client, "/" + file_path(other.blob_id, other.filename), stranger).status_code == 404


def test_deleted_file_goes_within_the_cache_time(client, index, people, basic):
    """After its row is deleted a file is gone, at the latest when the near cache has let go of it."""
    from pkgindex.nearcache import every

    file = add_wheel(index)
    path = "/" + file_path(file.blob_id, file.filename)
    reader = basic("reader", "reader-password")
    assert fetch(client, path, reader).status_code == 200
    file.delete()
    for cache in every:
        cache.clear_local()
    from django_redis import get_redis_connection

    get_redis_connection("default").flushdb()

    assert fetch(client, path, reader).status_code == 404


def test_a_signed_in_browser_may_fetch_what_its_page_links_to(client, index, people):
    """A session counts for downloads as well, so that a link on a project's page works; a stranger's does not."""
    file = add_wheel(index)
    path = f"/{file_path(file.blob_id, file.filename)}"

    client.force_login(people.reader)
    allowed = client.get(path)
    client.force_login(people.stranger)
    hidden = client.get(path)

    assert (allowed.status_code, hidden.status_code) == (200, 404)
    assert len(b"".join(allowed.streaming_content)) == file.size
