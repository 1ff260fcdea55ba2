"""`manage.py load_synthetic --projects N --files M`: fill an index with invented projects, for development."""

import json
import re
import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from pkgindex.audit.record import Actor
from pkgindex.catalog import synthetic
from pkgindex.management.console import USAGE, find_index, progress_bar

SEED = re.compile(r"[a-z0-9]{1,20}")


def number(text: str) -> int:
    """A whole number of at least 0. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ArgumentTypeError(f"{text!r} is not a whole number.")
    return int(text)


def seed(text: str) -> str:
    """A word that project names can carry. Raises ArgumentTypeError."""
    if not SEED.fullmatch(text):
        raise ArgumentTypeError("A seed has at most 20 small letters and digits.")
    return text


class Command(BaseCommand):
    """Exit codes: 0 done, 2 wrong usage."""

    help = (
        "Fill an index with invented projects whose files share a few small blobs, to see how the service does with "
        "a large index. What is there already is passed over, so an interrupted load can be repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--projects", type=number, required=True, metavar="N")
        parser.add_argument("--files", type=number, required=True, metavar="M", help="files of all of them together")
        parser.add_argument("--one-large", type=number, default=0, metavar="M", help="one project more, of M files")
        parser.add_argument("--index", default="main", help="slug of the index (default: main)")
        parser.add_argument("--seed", type=seed, default="0", help="part of the names; another one adds more projects")
        parser.add_argument("--yes-i-know", action="store_true", help="do it although DEBUG is off")
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not settings.DEBUG and not options["yes_i_know"]:
            raise CommandError("This is for development: set DEBUG, or add --yes-i-know.", returncode=USAGE)
        index = find_index(options["index"])
        try:
            projects = synthetic.wanted(
                options["projects"], options["files"], large=options["one_large"], seed=options["seed"]
            )
        except ValueError as error:
            raise CommandError(str(error), returncode=USAGE) from error
        began, made = time.monotonic(), 0
        total = sum(project.files for project in projects)
        with progress_bar(total, "file", quiet=options["json"]) as bar:
            for batch in synthetic.batches(projects):
                made += synthetic.load(index, batch, Actor(None, "load_synthetic"))
                bar.update(sum(project.files for project in batch))
        summary = {"files": made, "already_there": total - made, "seconds": round(time.monotonic() - began, 1)}
        if options["json"]:
            self.stdout.write(json.dumps(summary))
        else:
            self.stdout.write("{files} files made, {already_there} already there, {seconds} s.".format(**summary))
