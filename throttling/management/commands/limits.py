"""`manage.py limits apply|list|show|clear|bans|ban|lift`: limits from the command line."""

import getpass
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from throttling import bans, filing, services, stats, store, usage
from throttling.models import Assignment, Ban, Plan
from throttling.named import labels, resolve
from throttling.rates import SECOND, RateError, parse_time
from throttling.subjects import SubjectError


class Command(BaseCommand):
    """Every word is a method below."""

    help = "Apply plans from a file, list limits, show and clear what a subject uses, list and lift bans."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", required=True)
        applying = words.add_parser("apply", help="make the plans what a TOML file says, and show the difference")
        applying.add_argument("file", help="the file, or - for standard input")
        applying.add_argument("--dry-run", action="store_true", help="show the difference only")
        words.add_parser("list", help="every plan, its limits and who has it")
        words.add_parser("status", help="whether the store of the limits answers")
        words.add_parser("bans", help="bans in force")
        for word, text in (
            ("show", "how a subject stands"),
            ("clear", "forget what a subject has used and lift its bans"),
            ("lift", "lift a subject's bans"),
        ):
            words.add_parser(word, help=text).add_argument(
                "subject", help="such as user:alice, user:42 or addr:203.0.113.9"
            )
        banning = words.add_parser("ban", help="ban a subject")
        banning.add_argument("subject")
        banning.add_argument("time", help="such as 10m or 2h")
        banning.add_argument("reason")

    def handle(self, *args: Any, word: str, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            getattr(self, f"do_{word}")(**options)
        except (SubjectError, RateError, filing.PlanFileError, OSError) as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None

    def do_apply(self, file: str, *, dry_run: bool, **_: Any) -> None:
        """Idempotent: applying twice shows no difference the second time."""
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        steps = filing.apply(text, actor=actor(), dry_run=dry_run)
        for step in steps:
            self.stdout.write(f"{step.sign} {step.text}")
        if not steps:
            self.stdout.write("Nothing differs.")
        elif dry_run:
            self.stdout.write("Nothing was changed.")

    def do_list(self, **_: Any) -> None:
        """Plans with limits, refusals and subjects."""
        known = labels(Assignment.objects.values_list("subject", flat=True))
        for plan in Plan.objects.prefetch_related("limits", "assignments"):
            self.stdout.write(f"{plan.name}  {plan.description}".rstrip())
            for limit in plan.limits.all():
                real, shadow = stats.counted(str(limit.pk))
                where = limit.scopes or "every scope"
                more = f"per {limit.per}, {limit.mode}; refused {real}, would have refused {shadow}"
                self.stdout.write(f"  {limit.name}: {limit.rate} ({where}, {more})")
            for row in plan.assignments.all():
                self.stdout.write(f"  → {known.get(row.subject, row.subject)}")

    def do_show(self, subject: str, **_: Any) -> None:
        """Usage of a single subject, or of a plan's shared buckets."""
        subject = resolve(subject)
        rows = list(usage.of_subject(subject)) if ":" in subject and not subject.startswith(("net:", "group:")) else []
        for assignment in Assignment.objects.filter(subject=subject).select_related("plan"):
            rows += [row for row in usage.of_assignment(subject, assignment.plan.name) if row not in rows]
        for row in rows:
            reset = "" if row.resets_in is None else f", whole again in {row.resets_in} s"
            mode = "" if row.mode == "enforce" else f" [{row.mode}]"
            self.stdout.write(
                f"{row.name}: {row.used} of {row.quota} {row.unit}{reset} ({row.subject}, {row.rate}){mode}"
            )
        if not rows:
            self.stdout.write(f"No limit applies to {subject}.")

    def do_clear(self, subject: str, **_: Any) -> None:
        """Reset."""
        self.stdout.write(f"{services.reset(resolve(subject), actor=actor())} counters cleared.")

    def do_bans(self, **_: Any) -> None:
        """With the time left that attempts may have added to."""
        rows = bans.running(list(Ban.objects.filter(lifted_at__isnull=True)[:1_000]))
        known = labels(row.subject for row, _ in rows)
        for row, left in rows:
            self.stdout.write(f"{known[row.subject]}  {max(left, bans.seconds_left(row)):.0f} s  {row.reason}")
        if not rows:
            self.stdout.write("Nobody is banned.")

    def do_ban(self, subject: str, time: str, reason: str, **_: Any) -> None:
        """By hand."""
        until = timezone.now() + timedelta(seconds=parse_time(time) / SECOND)
        services.save(Ban(subject=resolve(subject), until=until, reason=reason), actor=actor())
        self.stdout.write(f"{subject} is banned until {until:%Y-%m-%d %H:%M:%S} UTC.")

    def do_lift(self, subject: str, **_: Any) -> None:
        """By hand."""
        self.stdout.write(f"{services.lift(resolve(subject), actor=actor())} bans lifted.")

    def do_status(self, **_: Any) -> None:
        """As health pages show it."""
        store.get().read_version()
        self.stdout.write(", ".join(f"{key} {value}" for key, value in store.status().items()))


def actor() -> str:
    """Who typed the command, for the list of changes."""
    try:
        return f"{getpass.getuser()} (command)"
    except (OSError, KeyError):
        return "command"
