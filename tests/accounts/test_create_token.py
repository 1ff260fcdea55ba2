"""`manage.py create_token`."""

import io
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from pkgindex.accounts import tokens
from pkgindex.accounts.models import Token, User
from pkgindex.audit.models import AuditEntry

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


def test_text_shows_the_secret_once_with_lines_to_paste(people, settings):
    """One token, read only unless asked otherwise, with hints for pip and twine."""
    settings.PUBLIC_URL = "https://pypi.example.org"
    text = run("reader")

    token = Token.objects.get()
    secret = next(line.strip() for line in text.splitlines() if line.startswith("    pkgi_"))
    assert tokens.digest(secret) == token.digest
    assert (token.scopes, token.expires_at, token.index) == (["read"], None, None)
    assert f"--index-url https://__token__:{secret}@pypi.example.org/simple/" in text
    assert "twine upload --repository-url https://pypi.example.org/legacy/" in text
    assert AuditEntry.objects.get().actor_label == "system"


def test_json_with_every_limit(people, index):
    """For scripts: one object, also for a user who is created on the way."""
    data = json.loads(
        run(
            *("robot", "--create-user", "--name", "ci", "--scope", "read", "--scope", "upload", "--index", "main"),
            *("--project", "team-*", "--project", "acme", "--expires-in", "90d", "--json"),
        )
    )

    token = Token.objects.get()
    assert tokens.digest(data.pop("token")) == token.digest
    assert data == {
        "id": token.pk,
        "user": "robot",
        "name": "ci",
        "scopes": ["read", "upload"],
        "index": "main",
        "project_patterns": ["team-*", "acme"],
        "expires_at": token.expires_at.isoformat(),
    }
    assert abs(token.expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)
    assert not User.objects.get(username="robot").has_usable_password()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody"], "There is no user 'nobody'"),
        (["bad name!", "--create-user"], "valid username"),
        (["reader", "--index", "nothing"], "There is no index"),
        (["reader", "--expires-in", "soon"], "--expires-in"),
        (["reader", "--expires-in", "0d"], "--expires-in"),
        (["reader", "--expires-in", "999999w"], "--expires-in"),
        (["reader", "--project", "Not Normal"], "normalised name"),
        (["reader", "--name", ""], "1 to 100"),
        (["reader", "--scope", "root"], "invalid choice"),
    ],
)
def test_bad_usage(people, arguments, sentence):
    """Each mistake is one sentence, and no token is made."""
    with pytest.raises(CommandError, match=sentence) as caught:
        run(*arguments)

    assert caught.value.returncode == 2 or "invalid choice" in str(caught.value)
    assert not Token.objects.exists()


def test_exit_code_of_bad_usage(tmp_path):
    """A shell sees 2."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "manage.py", "create_token", "ann", "--scope", "root"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "invalid choice" in done.stderr
