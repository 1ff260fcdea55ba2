"""From a digest and a file name to the file that this caller may read.

Knowing a digest grants nothing: the same bytes can be a file of several indexes, and it is the File rows that decide.
Rows come from the near cache, so a hit asks no SQL; whoever would be refused by cached rows is judged again by fresh
ones, so a file can be fetched as soon as its upload was answered. A deleted or quarantined file goes within five
seconds. Rows that are older than that do as long as the version of their project's page is the same, which every change
of it raises.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

from pkgindex.accounts.roles import Action, Place, Verdict, Visibility, Who, decide
from pkgindex.catalog import following, versions
from pkgindex.catalog.indexes import find_index, index_at_hand_by_id
from pkgindex.catalog.models import Delivery, File, ProjectStatus
from pkgindex.errors import AuthenticationRequired, Forbidden, NotFound
from pkgindex.nearcache import Missing, NearCache
from pkgindex.prepared import Select
from throttling.lines import Beside


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file of some index with these bytes and this name. Sizes are bytes, `modified` seconds since the epoch."""

    index_id: int
    slug: str
    visibility: Visibility
    project_id: int
    normalized_name: str
    quarantined: bool
    size: int
    modified: int
    metadata_sha256: str | None
    metadata_size: int | None
    delivery: str = Delivery.DIRECT.value
    mirror_policy: str = ""
    version: int = 0  # of the project's page, when this was read,
    serial: int = 0  # and of the index

    @property
    def place(self) -> Place:
        """What the decision is about."""
        return Place(self.index_id, self.visibility, self.project_id, self.normalized_name)


Candidates = tuple[Candidate, ...]
LASTING_SECONDS = 600  # some 700 bytes of Redis for each file that was asked for meanwhile


def _dump(candidates: Candidates) -> list[list[Any]]:
    names = [field.name for field in fields(Candidate)]
    return [[getattr(candidate, name) for name in names] for candidate in candidates]


def _restore(rows: list[list[Any]]) -> Candidates:
    return tuple(Candidate(row[0], row[1], Visibility(row[2]), *row[3:]) for row in rows)


_files: NearCache[Candidates] = NearCache("file", dump=_dump, restore=_restore, lasting_seconds=LASTING_SECONDS)


def readable_file(who: Who, sha256: str, filename: str) -> Candidate:
    """The file as `who` may read it.

    Raises NotFound for what does not exist, is quarantined or may not be seen; AuthenticationRequired where an
    anonymous caller could see more by saying who they are; Forbidden where a token lacks the scope to read.
    """
    cached = _files.get(_key(sha256, filename), lambda: _load(sha256, filename) or None) or ()
    found = _allowed(who, cached)
    if found is not None:
        return found
    fresh = _load(sha256, filename) if cached else ()
    found = _allowed(who, fresh)
    if found is not None:
        return found
    raise _refusal(who, fresh, filename)


def _key(sha256: str, filename: str) -> str:
    return f"{sha256}:{filename}"


def old_rows(sha256: str, filename: str) -> Candidates:
    """What this process knows of the file and would have to ask `holds` about: the same object while it is the same.

    Nothing where it was just read, which holds by itself.
    """
    key = _key(sha256, filename)
    return () if _files.at_hand(key) else _files.lasting(key, []) or ()


def file_at_hand(who: Who, sha256: str, filename: str, missing: Missing) -> tuple[Candidate, tuple[str, ...]] | None:
    """The file as `who` may read it, where this process knows without asking anybody; None for all else.

    With it come keys of Redis: where there are any, it is so only if `holds` says so of their values.
    """
    key = _key(sha256, filename)
    fresh = _files.at_hand(key)
    if fresh:
        found = _allowed(who, fresh)
        return (found, ()) if found else None
    held = [_now(one, missing) for one in _files.lasting(key, missing) or ()]
    found = _allowed(who, tuple(one for one in held if one))
    return (found, versions.keys(found.index_id, found.normalized_name)) if found else None


def holds(file: Candidate, held: Beside | None) -> bool:
    """Whether nothing has changed about the file, by what the keys of `file_at_hand` hold; False where unknown."""
    seen = file.version, file.serial
    newest = following.at_hand(file.index_id, file.normalized_name, held, seen)
    return newest is not None and following.ABSENT < newest <= file.version


def _now(file: Candidate, missing: Missing) -> Candidate | None:
    """The file with what its index says now."""
    index = index_at_hand_by_id(file.index_id, missing)
    if index is None:
        return None
    now = index.visibility, index.delivery, index.mirror_policy
    if now == (file.visibility, file.delivery, file.mirror_policy):
        return file
    return replace(file, visibility=now[0], delivery=now[1], mirror_policy=now[2])


_rows = Select(
    lambda sha256, filename: (
        File.objects.filter(blob_id=sha256, filename=filename)
        .order_by("index_id")
        .values_list(
            "index_id",
            "index__slug",
            "index__visibility",
            "release__project_id",
            "release__project__normalized_name",
            "release__project__status",
            "size",
            "uploaded_at",
            "metadata_blob_id",
            "metadata_blob__size",
            "index__delivery",
            "index__mirror_policy",
            "release__project__last_serial",
            "index__last_serial",
        )
    ),
    "a digest",
    "a file name",
)


def _load(sha256: str, filename: str) -> Candidates:
    found = tuple(_candidate(row) for row in _rows(sha256, filename))
    for one in found:
        following.catch_up(one.index_id, one.serial)
    return found


def _candidate(row: tuple[Any, ...]) -> Candidate:
    index_id, slug, visibility, project_id, name, status, size, uploaded_at, *rest = row
    closed, modified = status == ProjectStatus.QUARANTINED, int(uploaded_at.timestamp())
    return Candidate(index_id, slug, Visibility(visibility), project_id, name, closed, size, modified, *rest)


def _allowed(who: Who, candidates: Candidates) -> Candidate | None:
    """The first that `who` may read; one of a public index before others, since shared caches may keep it."""
    open_ones = [c for c in candidates if not c.quarantined and decide(who, Action.READ, c.place) is Verdict.ALLOW]
    return min(open_ones, key=lambda c: c.visibility is not Visibility.PUBLIC, default=None)


def _refusal(who: Who, candidates: Candidates, filename: str) -> Exception:
    verdicts = {decide(who, Action.READ, c.place): c for c in candidates}
    challenger = verdicts.get(Verdict.CHALLENGE)
    if challenger is not None or (who.is_anonymous and not candidates and not _default_is_public()):
        realm = challenger.slug if challenger else "pkgindex"
        return AuthenticationRequired(f"Authentication is required to read file '{filename}'.", realm=realm)
    if Verdict.FORBID in verdicts:
        return Forbidden(f"The token '{who.token_name}' isn't allowed to read. The scope 'read' is needed.")
    return NotFound(f"There is no file '{filename}' here, or you may not see it.")


def _default_is_public() -> bool:
    """Where it is not, an anonymous caller must not learn from a 404 that a private index lacks a file."""
    index = find_index()
    return index is not None and index.visibility is Visibility.PUBLIC
