"""`manage.py import_files DIR --index main`: bring a folder of wheels and sdists in."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkgindex.accounts.models import User
from pkgindex.accounts.roles import Who
from pkgindex.accounts.whois import who_of_user
from pkgindex.audit.record import Actor
from pkgindex.management.console import USAGE, find_index, progress_bar
from pkgindex.upload.folder import PRESENT, REFUSED, STORED, Importer, Outcome, distributions_in

INTERRUPTED = 130  # as shells say it of Ctrl-C


class Command(BaseCommand):
    """Exit codes: 0 nothing was refused, 1 something was, 2 wrong usage, 130 interrupted."""

    help = (
        "Publish every wheel and sdist below a folder through the checks of an upload. The folder stays as it is; "
        "files that are there already are passed over, so the command can be repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, metavar="DIR")
        parser.add_argument("--index", default="main", help="slug of the index (default: main)")
        parser.add_argument("--user", help="publish as this user, with that user's rights; default: as the operator")
        parser.add_argument("--dry-run", action="store_true", help="check everything and store nothing")
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        index = find_index(options["index"]).view()
        who, actor = _caller(options["user"])
        paths = _paths(options["directory"])
        outcomes: list[Outcome] = []
        importer = Importer(index, who, actor, dry_run=options["dry_run"])
        interrupted = _run(importer, paths, outcomes, quiet=options["json"])
        summary = _summary(outcomes, options["dry_run"], left=len(paths) - len(outcomes), interrupted=interrupted)
        self.stdout.write(json.dumps(summary, indent=2) if options["json"] else _for_people(summary))
        if interrupted:
            sys.exit(INTERRUPTED)
        if summary["refused"]:
            sys.exit(1)


def _run(importer: Importer, paths: list[Path], outcomes: list[Outcome], *, quiet: bool) -> bool:
    """Import one by one into `outcomes`; True where Ctrl-C ended it, between two files or within one."""
    total = sum(path.stat().st_size for path in paths if path.exists())
    try:
        with progress_bar(total, "B", quiet=quiet) as bar:
            for path in paths:
                bar.set_postfix_str(path.name, refresh=False)
                outcomes.append(importer.take(path, bar.update))
    except KeyboardInterrupt:
        return True
    return False


def _caller(username: str | None) -> tuple[Who | None, Actor]:
    if username is None:
        return None, Actor(None, "import_files")
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user {username!r}.", returncode=USAGE)
    return who_of_user(user), Actor(user.pk, f"{user.username} by import_files")


def _paths(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise CommandError(f"{directory} is not a folder.", returncode=USAGE)
    try:
        return list(distributions_in(directory))
    except OSError as error:
        raise CommandError(f"The folder cannot be read: {error}", returncode=USAGE) from error


def _summary(outcomes: list[Outcome], dry_run: bool, *, left: int, interrupted: bool) -> dict[str, Any]:
    def of(result: str) -> list[Outcome]:
        return [outcome for outcome in outcomes if outcome.result == result]

    return {
        "dry_run": dry_run,
        "interrupted": interrupted,
        "not_reached": left,
        "stored": [str(outcome.path) for outcome in of(STORED)],
        "already_there": [str(outcome.path) for outcome in of(PRESENT)],
        "refused": [{"file": str(o.path), "code": o.code, "why": o.why} for o in of(REFUSED)],
    }


def _for_people(summary: dict[str, Any]) -> str:
    lines = [f"refused {one['file']}: {one['why']}" for one in summary["refused"]]
    would = "would be stored" if summary["dry_run"] else "stored"
    counts = f"{len(summary['stored'])} {would}, {len(summary['already_there'])} already there"
    lines.append(f"{counts}, {len(summary['refused'])} refused.")
    if summary["interrupted"]:
        lines.append(f"Interrupted: {summary['not_reached']} files were not reached. Run it again to go on.")
    return "\n".join(lines)
