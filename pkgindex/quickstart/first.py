"""What a new installation needs before anybody can use it: an index, an administrator, a token."""

import secrets
from pathlib import Path

from django.core.management.base import CommandError
from django.db import transaction

import pkgindex
from pkgindex.accounts.models import Token, User
from pkgindex.accounts.roles import ALL_SCOPES
from pkgindex.accounts.services import issue
from pkgindex.accounts.tokens import digest
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.models import Index
from pkgindex.quickstart.credentials import CREDENTIALS_FILE, Credentials, read, write
from throttling import filing
from throttling.models import Change, Plan

DEFAULT_PLANS = Path(pkgindex.__file__).parent / "default_plans.toml"
UNCOMMITTED = "credentials.json.new"
USERNAME = "admin"
TOKEN_NAME = "quick start"  # noqa: S105 - a name that people read


def default_plans() -> bool:
    """Apply default_plans.toml to a new database, once; True where it did. Comes before anything else is created.

    An installation that has an index or a user is not new: its people are used to what limits it had, or to none. One
    whose limits were ever changed has a row that says so, also where no plan is left. The plans and those rows are one
    transaction, so that a crash leaves a database that is still new.
    """
    if Change.objects.exists() or Plan.objects.exists() or Index.objects.exists() or User.objects.exists():
        return False
    filing.apply(DEFAULT_PLANS.read_text(encoding="utf-8"), actor="new installation")
    return True


def default_index() -> bool:
    """Create the private index `main` where there is no index at all; True where it did."""
    if Index.objects.exists():
        return False
    Index.objects.create(slug="main", title="Main", is_default=True)
    return True


def first_administrator(directory: Path, url: str) -> bool:
    """Where nobody administers yet, create `admin` with a token and hand both over in credentials.json.

    The file is written, under another name, before the rows are committed, and renamed afterwards. So a crash leaves
    either nobody or somebody whose secrets are on disk: `recover` tells which. True where somebody was created.
    """
    recover(directory)
    if User.objects.filter(is_superuser=True).exists():
        return False
    if User.objects.filter(username=USERNAME).exists():
        raise CommandError("There is a user 'admin' but no administrator: run `manage.py createsuperuser`.")
    with transaction.atomic():
        password = secrets.token_urlsafe(18)
        user = User.objects.create_superuser(USERNAME, "", password)
        _, token = issue(SYSTEM, None, user, TOKEN_NAME, ALL_SCOPES)
        write(directory / UNCOMMITTED, Credentials(url, USERNAME, password, token))
    (directory / UNCOMMITTED).replace(directory / CREDENTIALS_FILE)
    return True


def recover(directory: Path) -> None:
    """Finish what a crash between the commit and the rename left, or drop what was never committed."""
    left = read(directory / UNCOMMITTED)
    if left is not None and Token.objects.filter(digest=digest(left.token)).exists():
        (directory / UNCOMMITTED).replace(directory / CREDENTIALS_FILE)
    (directory / UNCOMMITTED).unlink(missing_ok=True)
