"""What others may want to know of files, sent once the change is committed. A receiver that fails is logged."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.dispatch import Signal

files_added = Signal()  # facts: a sequence of FileFacts
files_removed = Signal()  # facts: a sequence of FileFacts
copies_changed = Signal()  # index_id or project_id: another number of copies is wanted of its files


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as its change left it: whose bytes, how many, where."""

    index_id: int
    project_id: int
    sha256: str
    size: int
    uploaded_by_id: int | None
    project: str = ""  # the index's slug and the normalised name, such as `main/acme`; the project itself may be gone


def announce(signal: Signal, facts: Sequence[FileFacts]) -> None:
    """Send the signal when the transaction that runs now has been committed."""
    if facts:
        transaction.on_commit(lambda: signal.send_robust(sender=None, facts=facts) and None)
