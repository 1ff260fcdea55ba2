"""The one transaction in which the catalogue changes: journal serial, page versions and audit row together.

Whoever changes the catalogue first takes the journal's single row and keeps it until the commit. So serials are
committed in order on every database, a check made inside (is the filename free?) still holds at the insert, and two
writers never meet half-way. Nothing slow belongs inside: hashing, archive checks and storage come before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from pkgindex.audit.record import Actor, record, recording
from pkgindex.catalog import versions
from pkgindex.catalog.models import Index, JournalEntry, JournalHead, Project
from pkgindex.prepared import Insert, Select, Statement, Update, ask, run

SERIAL, ID = 987_654_321_001, 987_654_002
_head = Select(lambda: JournalHead.objects.filter(pk=1).values_list("serial"))
_take_head = Select(lambda: JournalHead.objects.select_for_update().filter(pk=1).values_list("serial"))
_journal = Insert(JournalEntry)
_later = Select(
    lambda index, name, serial: (
        JournalEntry.objects.filter(index_id=index, normalized_name=name, serial__gt=serial)
        .order_by()
        .values_list("serial")[:1]
    ),
    ID,
    "a sample of a name",
    SERIAL,
)
_set_head = Update(lambda serial: (JournalHead.objects.filter(pk=1), {"serial": serial}), SERIAL)
_set_project = Update(lambda serial, pk: (Project.objects.filter(pk=pk), {"last_serial": serial}), SERIAL, ID)
_set_index = Update(lambda serial, pk: (Index.objects.filter(pk=pk), {"last_serial": serial}), SERIAL, ID)


@dataclass(slots=True)
class Change:
    """An open change of one index; `note` everything that clients can see of it.

    `is_late`: somebody has changed the project after the serial that `changing` was told.
    """

    index_id: int
    index_slug: str
    actor: Actor
    serial: int
    is_late: bool = False
    _touched: dict[str, tuple[int, int]] = field(default_factory=dict)  # normalised name -> project id, serial
    _created: list[str] = field(default_factory=list)  # normalised names of projects that have their serial already
    _unsent: list[Statement] = field(default_factory=list)

    def note(self, action: str, project: Project, *, version: str = "", filename: str = "", reason: str = "") -> int:
        """Give the change its serial, journal it and audit it; returns the serial."""
        self.serial += 1
        entry = self._entry(self.serial, project, action=action, version=version, filename=filename)
        target = "/".join(part for part in (self.index_slug, project.normalized_name, filename or version) if part)
        kind = "file" if filename else "release" if version else "project"
        more = {"reason": reason} if reason else {}
        self.send(_journal.statement(**entry), recording(self.actor, action, kind, target, serial=self.serial, **more))
        self._touched[project.normalized_name] = (project.pk, self.serial)
        return self.serial

    def send(self, *statements: Statement) -> None:
        """Have statements sent that have nothing to say and that nothing in this change will ask for.

        They go in their order at its end, all in one message where the database takes that: others wait until then.
        """
        self._unsent += statements

    def create_many(self, projects: Sequence[Project]) -> None:
        """Save new projects, each with a serial and a journal entry of its own, under one audit row."""
        for project in projects:
            self.serial += 1
            project.last_serial = self.serial
        saved = Project.objects.bulk_create(projects)
        JournalEntry.objects.bulk_create(
            JournalEntry(**self._entry(project.last_serial, project, action="create project")) for project in saved
        )
        self._created += [project.normalized_name for project in saved]
        record(self.actor, "create projects", "index", self.index_slug, serial=self.serial, projects=len(saved))

    def _entry(self, serial: int, project: Project, **more: str) -> dict[str, Any]:
        return {
            "serial": serial,
            "index_id": self.index_id,
            "project_name": project.name,
            "normalized_name": project.normalized_name,
            "actor_label": self.actor.label[:200],
            **more,
        }

    def finish(self, *, outermost: bool) -> None:
        """Called by `changing` alone, as the last thing before the commit, or of what commits in the end."""
        if not self._touched and not self._created:
            run(self._unsent, commits=outermost)
            return
        projects = [_set_project.statement(serial, project_id) for project_id, serial in self._touched.values()]
        self.send(_set_head.statement(self.serial), *projects, _set_index.statement(self.serial, self.index_id))
        names = ["", *self._created, *self._touched]
        keys = [versions.key(self.index_id, name) for name in names]
        serial = self.serial
        versions.mark_dirty(keys, serial)
        transaction.on_commit(lambda: versions.publish(keys, serial))
        run(self._unsent, commits=outermost)


def asking_serial() -> Statement:
    """Asks for the serial of the last committed change: what is read afterwards is as old as that or younger."""
    return _head.statement()


def serial_in(rows: Sequence[tuple[int]]) -> int:
    """The answer to `asking_serial`."""
    return rows[0][0] if rows else 0


@contextmanager
def changing(index_id: int, index_slug: str, actor: Actor, since: tuple[int, str] | None = None) -> Iterator[Change]:
    """Open the transaction, take the journal, and on leaving give every touched page its new version.

    `since` is a serial and the normalised name of a project, to be told whether that was changed later (`is_late`).
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        serial, is_late = _take(index_id, since)
        change = Change(index_id, index_slug, actor, serial, is_late)
        yield change
        change.finish(outermost=outermost)


def _take(index_id: int, since: tuple[int, str] | None) -> tuple[int, bool]:
    """The journal's last serial, and whether the project was changed after the one given."""
    statements = [_take_head.statement()]
    if since is not None:
        statements.append(_later.statement(index_id, since[1], since[0]))
    head, *later = ask(*statements)
    if not head:  # the very first change; nothing was held while `later` was asked
        JournalHead.objects.bulk_create([JournalHead(pk=1)], ignore_conflicts=True)
        head, *later = ask(*statements)
    return head[0][0], any(later)
