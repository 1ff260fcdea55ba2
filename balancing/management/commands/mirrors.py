"""`manage.py mirrors status|sync|verify|drain|activate|add|remove`: mirror nodes from the command line."""

import json
import sys
import time
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from balancing import services
from balancing.backends import NodeError
from balancing.models import Kind, Node
from balancing.replication import comparing, queries, reaping, report, requests, rows, scrubbing, walking

ACTOR = "command line"
PATIENCE = 90.0  # seconds without any progress after which `sync` no longer waits
EXAMPLES = """
examples:
  mirrors add eu-1 https://eu-1.example.org --zone eu      a mirror node, or its new values
  mirrors add archive https://s3.example.org --bucket py --region eu-central-1
  mirrors status                                           every node, its copies and its last error
  mirrors sync                                             bring all copies where they belong, and wait
  mirrors verify eu-1                                      have a node read all of its copies again
  mirrors drain eu-1                                       before maintenance: transfers finish, nothing new
  mirrors activate eu-1                                    afterwards

Exit status: 0 done; 1 something is wrong with a node or a copy; 2 the command line is wrong.
"""


class Command(BaseCommand):
    """Every word is a method below."""

    help = "Manage mirror nodes: add and drain them, bring their copies up to date, verify what they hold."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
        status = words.add_parser("status", help="every node, its copies, its health and its last error")
        status.add_argument("--json", action="store_true", dest="as_json", help="for programs")
        sync = words.add_parser("sync", help="plan all copies anew, compare what nodes have, wait until all is there")
        sync.add_argument("node", nargs="?", help="only this node")
        sync.add_argument("--no-wait", action="store_true", help="only have the workers begin")
        verify = words.add_parser("verify", help="have nodes read every copy again; status 1 where one was damaged")
        verify.add_argument("node", nargs="?", help="only this node")
        for word, text in (
            ("drain", "give a node nothing new; what it does may finish"),
            ("activate", "let a node that was drained or disabled serve again"),
            ("remove", "forget a node and the copies on it; its files stay on its disk"),
        ):
            words.add_parser(word, help=text).add_argument("node")
        self._add_adding(words.add_parser("add", help="add a node; one that exists gets the values that are given"))

    def _add_adding(self, adding: CommandParser) -> None:
        adding.add_argument("name", help="lower-case letters, digits and dashes; never changes")
        adding.add_argument("url", help="where we reach it: the node server, or the endpoint of the S3 service")
        adding.add_argument("--public-url", help="where clients reach it, if elsewhere")
        adding.add_argument("--zone", help="where it stands")
        adding.add_argument("--weight", type=float, help="its share beside the others'; 1 if not given")
        adding.add_argument("--capacity", type=int, help="bytes it may hold; all of its disk if not given")
        adding.add_argument("--max-conns", type=int, help="downloads at once; 0: no limit")
        adding.add_argument("--backup", action="store_true", default=None, help="serves only when others are too few")
        adding.add_argument("--bucket", help="it is an S3 bucket of this name")
        adding.add_argument("--region", help="of the bucket")
        adding.add_argument("--prefix", help="start of every key in the bucket")

    def handle(self, *args: Any, word: str, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            getattr(self, f"do_{word}")(**options)
        except (NodeError, services.ServiceError, ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=2) from None

    def do_status(self, *, as_json: bool, **_: Any) -> None:
        """As health pages show it."""
        found = report.status()
        self.stdout.write(json.dumps(found, indent=2) if as_json else report.as_text(found))

    def do_sync(self, node: str | None, *, no_wait: bool, **_: Any) -> None:
        """The walk and the comparisons run here, the transfers in the workers."""
        names = self._names(node)
        if no_wait:
            if not requests.sync(node):
                raise CommandError("The broker does not take tasks; beat does the same within the hour.")
            self.stdout.write("The workers have been told.")
            return
        self._plan()
        wrong = [line for name in names if (line := self._compare(name))]
        for name in names:
            rows.hurry(name)
        self._wait(names)
        if wrong:
            raise CommandError(" ".join(wrong))
        self.stdout.write("Every copy is where it belongs.")

    def do_verify(self, node: str | None, **_: Any) -> None:
        """Damaged copies are made anew by the workers."""
        damaged, wrong, before = 0, [], timezone.now()
        for name in self._names(node):
            with self._bar(f"reading {name}", queries.verified(name), "file") as bar:
                try:
                    damaged += scrubbing.scrub(name, before=before, progress=bar.update).damaged
                except NodeError as error:
                    wrong.append(f"{name}: {error}")
        if damaged:
            reaping.reap()
            wrong.insert(0, f"{damaged} copies were damaged and are made anew.")
        if wrong:
            raise CommandError(" ".join(wrong))
        self.stdout.write("Every copy is whole.")

    def do_add(self, name: str, **options: Any) -> None:
        """Idempotent."""
        given = {key: options[key] for key in GIVEN if options.get(key) is not None}
        node = Node.objects.filter(pk=name).first()
        made = node is None
        node = node or Node(name=name)
        node.kind = Kind.BUCKET if given.get("bucket") or node.bucket else Kind.SERVER
        for key, value in given.items():
            setattr(node, key, value)
        done = (services.add if made else services.save)(node, actor=ACTOR)
        self.stdout.write(f"{name} is {('added' if made else 'changed') if done else 'there already'}.")

    def do_drain(self, node: str, **_: Any) -> None:
        """Idempotent."""
        services.drain(self._names(node)[0], actor=ACTOR)
        self.stdout.write(f"{node} gets nothing new.")

    def do_activate(self, node: str, **_: Any) -> None:
        """Idempotent."""
        services.activate(self._names(node)[0], actor=ACTOR)
        self.stdout.write(f"{node} is active.")

    def do_remove(self, node: str, **_: Any) -> None:
        """The table's side only: the node may be away for ever."""
        services.remove(Node(name=self._names(node)[0]), actor=ACTOR)
        self.stdout.write(f"{node} is removed; files on its disk stay.")

    def _names(self, node: str | None) -> list[str]:
        names = list(Node.objects.values_list("pk", flat=True))
        if node is None:
            return names
        if node not in names:
            raise CommandError(f"There is no node {node}; there are: {', '.join(names) or 'none'}.", returncode=2)
        return [node]

    def _plan(self) -> None:
        walking.restart()
        moved_at = time.monotonic()
        with self._bar("planning", None, "file") as bar:
            while not (found := walking.plan(seconds=2.0)).finished:
                bar.update(found.files)
                if found.files:
                    moved_at = time.monotonic()
                    continue
                reaping.reap()  # too much waits for the workers
                if time.monotonic() - moved_at > PATIENCE:
                    raise CommandError("Too many copies wait, and nothing moves: is a worker running?")
                time.sleep(1)

    def _compare(self, name: str) -> str:
        with self._bar(f"comparing {name}", None, "file") as bar:
            try:
                comparing.compare(name, bar.update)
            except NodeError as error:
                return f"{name} was not compared: {error}"
        return ""

    def _wait(self, names: list[str]) -> None:
        """Until nothing is left to do; sends what is due itself, so that it does not depend on beat."""
        last, seen_at = (-1, -1), time.monotonic()
        with self._bar("copying", queries.unfinished(names), "copy") as bar:
            while left := queries.unfinished(names):
                reaping.reap()
                bar.n = max(0, (bar.total or 0) - left)
                bar.refresh()
                moving = left, queries.bytes_sent(names)
                if moving != last:
                    last, seen_at = moving, time.monotonic()
                if time.monotonic() - seen_at > PATIENCE:
                    raise CommandError(f"{left} copies are not done, and nothing moves: is a worker running?")
                time.sleep(0.5)
        if failed := queries.failed(names):
            raise CommandError(f"{failed} copies were given up; `mirrors status` shows the last error.")

    def _bar(self, text: str, total: int | None, unit: str) -> "tqdm[Any]":
        return tqdm(total=total, desc=text, unit=unit, file=sys.stderr, disable=None)


GIVEN = (
    "url", "public_url", "zone", "weight", "capacity", "max_conns", "backup", "bucket", "region", "prefix",
)  # fmt: skip
