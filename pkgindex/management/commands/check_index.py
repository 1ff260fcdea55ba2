"""`manage.py check_index`: compare every row with the stored bytes."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Sum
from django.utils import timezone

from pkgindex.blobs import gc
from pkgindex.management.commands.gc import hours
from pkgindex.management.console import find_index, progress_bar
from pkgindex.upload.inspection import Finding, blobs_of, damaged, orphans, wrong_rows


class Command(BaseCommand):
    """Exit codes: 0 all is well or was repaired, 1 something is not, 2 wrong usage."""

    help = (
        "Compare files with stored bytes: missing, of the wrong size, corrupt; and find what nothing refers to. "
        "Bytes that a listed file needs are never deleted: damaged ones are set aside."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--index", help="only the files of this index; what nothing refers to is not looked for")
        parser.add_argument("--fast", action="store_true", help="compare sizes and read no bytes")
        parser.add_argument("--repair", action="store_true", help="make lost .metadata again, remove orphans")
        parser.add_argument("--grace-hours", type=hours, default=gc.GRACE, metavar="HOURS", help="default: 24")
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        index_id = find_index(options["index"]).pk if options["index"] else None
        findings = []
        for finding in _findings(index_id, options):
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(_line(finding))
        left = sum(not finding.repaired for finding in findings)
        checked = blobs_of(index_id).count()
        if options["json"]:
            found = [asdict(finding) for finding in findings]
            self.stdout.write(json.dumps({"checked": checked, "left": left, "findings": found}, indent=2))
        else:
            how = "by size" if options["fast"] else "byte by byte"
            self.stdout.write(f"{checked} blobs checked {how}: {len(findings)} findings, {left} not repaired.")
        if left:
            sys.exit(1)


def _findings(index_id: int | None, options: dict[str, Any]) -> Iterator[Finding]:
    rehash, repair = not options["fast"], options["repair"]
    blobs = blobs_of(index_id)
    total = (blobs.aggregate(size=Sum("size"))["size"] or 0) if rehash else blobs.count()
    with progress_bar(total, "B" if rehash else "blob", quiet=options["json"]) as bar:
        yield from damaged(index_id, rehash=rehash, repair=repair, progress=bar.update)
    others = [wrong_rows(index_id)]
    if index_id is None:
        others.append(orphans(timezone.now() - options["grace_hours"], repair=repair))
    yield from chain(*others)


def _line(finding: Finding) -> str:
    state = "repaired" if finding.repaired else "FOUND"
    parts = [f"{state} {finding.kind} {finding.what}", ", ".join(finding.files), finding.note]
    return ": ".join(part for part in parts if part)
