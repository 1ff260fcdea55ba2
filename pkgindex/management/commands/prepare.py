"""Bring database and static files up to date and, in a new installation, create what nobody can begin without."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from pkgindex.quickstart import first
from pkgindex.quickstart.credentials import follow_url


class Command(BaseCommand):
    """Safe to run at every start: what is there already stays as it is."""

    help = (
        "Migrate, collect static files, create the index 'main' where there is no index and the administrator 'admin' "
        "where there is none; the administrator's secrets go to credentials.json in the data directory."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", required=True, help="Where people will reach the service.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        directory, url = Path(settings.DATA_DIR), options["url"].rstrip("/")
        self.stdout.write("database: bringing it up to date")
        call_command("migrate", verbosity=0, interactive=False)
        self.stdout.write("static files: collecting them")
        call_command("collectstatic", verbosity=0, interactive=False)
        if first.default_index():
            self.stdout.write("index: created 'main', private")
        if first.first_administrator(directory, url):
            self.stdout.write("administrator: created 'admin' and a token")
        follow_url(directory, url)
