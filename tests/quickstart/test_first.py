"""The first index and administrator, also after a crash in between."""

import pytest
from django.core.management.base import CommandError

from pkgindex.accounts.models import Token, User
from pkgindex.accounts.tokens import digest
from pkgindex.catalog.models import Index
from pkgindex.quickstart import first
from pkgindex.quickstart.credentials import CREDENTIALS_FILE, Credentials, follow_url, read, write
from tests.quickstart.service import mode

URL = "http://127.0.0.1:8000"

pytestmark = pytest.mark.django_db


def test_first_index_is_private_and_the_default():
    """A new installation has one index, which only people with a role may read."""
    assert first.default_index()

    made = Index.objects.get()
    assert (made.slug, made.visibility, made.is_default) == ("main", "private", True)


def test_an_index_that_exists_is_enough(index):
    """Nothing is added beside an index of the operator's."""
    assert not first.default_index()
    assert Index.objects.count() == 1


def test_administrator_gets_password_and_token(tmp_path):
    """The file holds what opens the account, for its owner alone, and nothing else lies about."""
    assert first.first_administrator(tmp_path, URL)

    held = read(tmp_path / CREDENTIALS_FILE)
    user = User.objects.get()
    assert held.url == URL
    assert user.is_superuser
    assert user.check_password(held.password)
    assert Token.objects.get(digest=digest(held.token)).user == user
    assert mode(tmp_path / CREDENTIALS_FILE) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [CREDENTIALS_FILE]


def test_second_time_changes_nothing(tmp_path):
    """An administrator is made once, also where somebody removed the file."""
    first.first_administrator(tmp_path, URL)
    (tmp_path / CREDENTIALS_FILE).unlink()

    assert not first.first_administrator(tmp_path, URL)
    assert User.objects.count() == Token.objects.count() == 1
    assert list(tmp_path.iterdir()) == []


def test_crash_before_the_commit_begins_anew(tmp_path):
    """Secrets that never reached the database are dropped."""
    lost = Credentials(URL, "admin", "lost", "pkgi_lost")
    write(tmp_path / first.UNCOMMITTED, lost)

    assert first.first_administrator(tmp_path, URL)
    assert read(tmp_path / CREDENTIALS_FILE).password != lost.password
    assert not (tmp_path / first.UNCOMMITTED).exists()


def test_crash_after_the_commit_hands_the_secrets_over(tmp_path):
    """Secrets that reached the database come to the file that people look for."""
    first.first_administrator(tmp_path, URL)
    held = read(tmp_path / CREDENTIALS_FILE)
    (tmp_path / CREDENTIALS_FILE).rename(tmp_path / first.UNCOMMITTED)

    assert not first.first_administrator(tmp_path, URL)
    assert read(tmp_path / CREDENTIALS_FILE) == held
    assert not (tmp_path / first.UNCOMMITTED).exists()


def test_half_written_file_is_dropped(tmp_path):
    """What is no credentials file is not handed over."""
    (tmp_path / first.UNCOMMITTED).write_text('{"url": ')

    assert first.first_administrator(tmp_path, URL)
    assert read(tmp_path / CREDENTIALS_FILE) is not None


def test_name_taken_by_somebody_without_rights(tmp_path):
    """Nobody becomes an administrator by being called admin."""
    User.objects.create_user("admin", password="of-somebody")

    with pytest.raises(CommandError, match="createsuperuser"):
        first.first_administrator(tmp_path, URL)
    assert not User.objects.filter(is_superuser=True).exists()


def test_url_follows_the_port(tmp_path):
    """After a start elsewhere the file names the new place and keeps the secrets."""
    first.first_administrator(tmp_path, URL)
    held = read(tmp_path / CREDENTIALS_FILE)

    follow_url(tmp_path, "http://127.0.0.1:9000")

    assert read(tmp_path / CREDENTIALS_FILE) == Credentials(
        "http://127.0.0.1:9000", held.username, held.password, held.token
    )
