"""`manage.py gc`: remove bytes that nothing refers to."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from pkgindex.blobs import gc
from pkgindex.management.console import of_size


def hours(text: str) -> timedelta:
    """A grace time of at least one hour: uploads in progress live in it. Raises ArgumentTypeError."""
    try:
        grace = timedelta(hours=float(text))
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is not a number of hours.") from None
    if grace < timedelta(hours=1):
        raise ArgumentTypeError("The grace time is at least 1 hour, so that no upload in progress loses its bytes.")
    return grace


class Command(BaseCommand):
    """Safe beside a running service; the daily task `blobs.collect` does the same."""

    help = "Remove blobs that no file refers to, bytes without a row, and what crashed uploads left behind."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--grace-hours", type=hours, default=gc.GRACE, metavar="HOURS", help="default: 24")
        parser.add_argument("--dry-run", action="store_true", help="count and remove nothing")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        done = gc.collect(options["grace_hours"], dry_run=options["dry_run"])
        if options["json"]:
            self.stdout.write(json.dumps(done.as_dict() | {"dry_run": options["dry_run"]}))
            return
        verb = "Would remove" if options["dry_run"] else "Removed"
        self.stdout.write(
            f"{verb} {done.blobs} blobs without a file, {done.orphan_bytes} without a row ({of_size(done.size)}), "
            f"and {done.unfinished} unfinished files."
        )
