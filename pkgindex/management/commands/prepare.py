"""Bring database and static files up to date and, in a new installation, create what nobody can begin without."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from pkgindex.quickstart import first, mirrors
from pkgindex.quickstart.credentials import follow_url


class Command(BaseCommand):
    """Safe to run at every start: what is there already stays as it is."""

    help = (
        "Migrate, collect static files; in a new database create the default plans of limits, the index 'main' where "
        "there is no index and the administrator 'admin' "
        "where there is none; the administrator's secrets go to credentials.json in the data directory."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", required=True, help="Where people will reach the service.")
        parser.add_argument(
            "--node", action="append", default=[], metavar="NAME=URL", help="A mirror node that this machine runs."
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        directory, url = Path(settings.DATA_DIR), options["url"].rstrip("/")
        self.stdout.write("database: bringing it up to date")
        call_command("migrate", verbosity=0, interactive=False)
        self.stdout.write("static files: collecting them")
        call_command("collectstatic", verbosity=0, interactive=False)
        if first.default_plans():
            self.stdout.write("limits: created the default plans")
        if first.default_index():
            self.stdout.write("index: created 'main', private")
        if first.first_administrator(directory, url):
            self.stdout.write("administrator: created 'admin' and a token")
        for line in mirrors.register(dict(pair.split("=", 1) for pair in options["node"])):
            self.stdout.write(line)
        follow_url(directory, url)
