"""`manage.py create_token USER`: issue a token and print its secret once."""

import json
import re
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from pkgindex.accounts.models import Token, User
from pkgindex.accounts.people import create_user
from pkgindex.accounts.roles import Scope
from pkgindex.accounts.services import issue
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.models import Index
from pkgindex.errors import ServiceError

UNITS = {"h": "hours", "d": "days", "w": "weeks"}
LONGEST = 36_500  # days
HOST = "https://index.example.org"  # shown where PUBLIC_URL is not set


class Command(BaseCommand):
    """Issue a token."""

    help = "Issue a token for a user and print its secret, which is not stored. Exit code 2 for what cannot be done."

    def add_arguments(self, parser: ArgumentParser) -> None:
        scopes = [scope.value for scope in Scope]
        parser.add_argument("user", help="username")
        parser.add_argument("--name", default="command line", help="what it is for")
        parser.add_argument(
            "--scope", action="append", choices=scopes, dest="scopes", help="repeat for several; default: read"
        )
        parser.add_argument("--index", help="slug of the only index it reaches; default: every index")
        parser.add_argument(
            "--project", action="append", default=[], dest="projects", help="project it reaches, * allowed; repeat"
        )
        parser.add_argument("--expires-in", help="such as 12h, 90d or 8w; default: never")
        parser.add_argument("--create-user", action="store_true", help="create the user, without a password, if needed")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - the base class's signature
        expires_in = _duration(options["expires_in"])
        try:
            token, secret = issue(
                SYSTEM,
                None,
                _user(options["user"], create=options["create_user"]),
                options["name"],
                options["scopes"] or [Scope.READ.value],
                index=_index(options["index"]),
                project_patterns=options["projects"],
                expires_at=timezone.now() + expires_in if expires_in else None,
            )
        except ServiceError as error:
            _refuse(error.sentence)
        self.stdout.write(_as_json(token, secret) if options["json"] else _as_text(token, secret))


def _user(username: str, *, create: bool) -> User:
    user = User.objects.filter(username=username).first()
    if user is None and create:
        return create_user(SYSTEM, None, username)
    return user or _refuse(f"There is no user '{username}'; --create-user makes one.")


def _index(slug: str | None) -> Index | None:
    if slug is None:
        return None
    return Index.objects.filter(slug=slug).first() or _refuse(f"There is no index '{slug}'.")


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text)
    duration = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else timedelta(days=LONGEST + 1)
    if duration > timedelta(days=LONGEST):
        _refuse("--expires-in is a number with h, d or w, such as 90d, and at most a hundred years.")
    return duration


def _refuse(sentence: str) -> NoReturn:
    raise CommandError(sentence, returncode=2)


def _as_json(token: Token, secret: str) -> str:
    return json.dumps(
        {
            "id": token.pk,
            "user": token.user.username,
            "name": token.name,
            "scopes": token.scopes,
            "index": str(token.index) if token.index else None,
            "project_patterns": token.project_patterns,
            "expires_at": token.expires_at.isoformat() if token.expires_at else None,
            "token": secret,
        }
    )


def _as_text(token: Token, secret: str) -> str:
    url = settings.PUBLIC_URL or HOST
    path = f"/i/{token.index}" if token.index else ""
    host = re.sub(r"^(https?://)", rf"\1__token__:{secret}@", url)
    return "\n".join(
        [
            f"Token {token.name} of {token.user.username}: {', '.join(token.scopes)}. It is not shown again:",
            "",
            f"    {secret}",
            "",
            "Install:",
            f"    pip install --index-url {host}{path}/simple/ PACKAGE",
            "Upload:",
            f"    twine upload --repository-url {url}{path}/legacy/ -u __token__ -p {secret} dist/*",
        ]
    )
