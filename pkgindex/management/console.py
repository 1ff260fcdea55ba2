"""What the commands share: progress bars, finding an index, and leaving with an exit code."""

import sys
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from pkgindex.catalog.models import Index

USAGE = 2  # the exit code of a command that was called wrongly, as argparse has it


def find_index(slug: str) -> Index:
    """The index of that slug. Raises CommandError."""
    index = Index.objects.filter(slug=slug).first()
    if index is None:
        known = ", ".join(Index.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no index {slug!r}. There are: {known}.", returncode=USAGE)
    return index


def progress_bar(total: int, unit: str, *, quiet: bool) -> "tqdm[Any]":
    """A bar on stderr that scales bytes; nothing is shown if `quiet` or where nobody watches."""
    return tqdm(
        total=total,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        file=sys.stderr,
        disable=quiet or not sys.stderr.isatty(),
        leave=False,
    )


def of_size(size: int) -> str:
    """Bytes for people."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
