"""Who somebody is and what that lets them do: pure values and one decision. Imports no Django."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple


class Scope(str, Enum):
    """What a token may be used for; a password and a browser session have all of them."""

    READ = "read"
    UPLOAD = "upload"
    MANAGE = "manage"
    ADMIN = "admin"


class Rank(str, Enum):
    """Ranks on an index or a project, each including the ones before it."""

    READER = "reader"
    UPLOADER = "uploader"
    MAINTAINER = "maintainer"
    OWNER = "owner"

    @property
    def height(self) -> int:
        """Position in the order, from 1."""
        return _HEIGHTS[self.value]


_HEIGHTS = {rank.value: height for height, rank in enumerate(Rank, 1)}


class Visibility(str, Enum):
    """Who may read an index without a role: everyone, everyone who signs in, nobody."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PRIVATE = "private"


class Action(Enum):
    """What a caller wants to do to an index or a project."""

    READ = "read"
    UPLOAD = "upload"
    MANAGE = "manage"  # yank, unyank, delete, set the status
    OWN = "own"  # change roles and settings


class Verdict(Enum):
    """The answer: do it; say who you are first; there is no such thing (for you); you may not."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    HIDE = "hide"
    FORBID = "forbid"


NEEDED: Mapping[Action, tuple[Rank, Scope]] = MappingProxyType(
    {
        Action.READ: (Rank.READER, Scope.READ),
        Action.UPLOAD: (Rank.UPLOADER, Scope.UPLOAD),
        Action.MANAGE: (Rank.MAINTAINER, Scope.MANAGE),
        Action.OWN: (Rank.OWNER, Scope.ADMIN),
    }
)
ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Who:
    """A caller, however they proved it; `ANONYMOUS` where they did not try.

    Ranks are of the user and of all the user's groups together, by index id and by project id.
    """

    user_id: int | None = None
    username: str = ""
    is_staff: bool = False
    is_superuser: bool = False
    token_id: int | None = None
    token_name: str = ""
    scopes: frozenset[Scope] = frozenset()
    token_index_id: int | None = None
    project_patterns: tuple[str, ...] = ()
    expires_at: float | None = None  # seconds since the epoch
    group_ids: tuple[int, ...] = ()
    index_ranks: Mapping[int, Rank] = field(default_factory=dict)
    project_ranks: Mapping[int, Rank] = field(default_factory=dict)

    @property
    def is_anonymous(self) -> bool:
        """True where no credentials were sent."""
        return self.user_id is None

    @property
    def label(self) -> str:
        """How audit rows and messages name the caller."""
        if self.is_anonymous:
            return "anonymous"
        return f"{self.username} with token {self.token_name}" if self.token_id else self.username

    def covers(self, index_id: int, normalized_name: str | None) -> bool:
        """True where the token's own limits reach this index and project; without a project, only the index counts."""
        if self.token_index_id is not None and self.token_index_id != index_id:
            return False
        if not self.project_patterns or normalized_name is None:
            return True
        return any(fnmatchcase(normalized_name, pattern) for pattern in self.project_patterns)


ANONYMOUS = Who()


class Place(NamedTuple):
    """An index, or a project in it: what a decision is about. `project_id` is None for a project yet to be created."""

    index_id: int
    visibility: Visibility
    project_id: int | None = None
    normalized_name: str | None = None


def rank_of(who: Who, place: Place) -> Rank | None:
    """The highest rank that `who` holds there, None for no rank."""
    if who.is_superuser:
        return Rank.OWNER
    on_index = who.index_ranks.get(place.index_id)
    on_project = None if place.project_id is None else who.project_ranks.get(place.project_id)
    if on_index is None or on_project is None:
        return on_index or on_project
    return max(on_index, on_project, key=lambda rank: rank.height)


def decide(who: Who, action: Action, place: Place) -> Verdict:
    """Whether `who` may do `action` there.

    A caller who may not see a place is told that it is not there, and an anonymous one is asked for credentials, for
    unknown names as well; so names of private indexes do not leak, and uv goes on to its next index (it stops at 403).
    """
    rank, scope = NEEDED[action]
    held = rank_of(who, place)
    covered = who.covers(place.index_id, place.normalized_name)
    if not _sees(who, held, place, covered=covered):
        return Verdict.CHALLENGE if who.is_anonymous else Verdict.HIDE
    if action is Action.READ and place.visibility is Visibility.PUBLIC:
        return Verdict.ALLOW
    if who.is_anonymous:
        return Verdict.CHALLENGE
    if scope not in who.scopes or not covered:
        return Verdict.FORBID
    if action is Action.READ:
        return Verdict.ALLOW
    return Verdict.ALLOW if held is not None and held.height >= rank.height else Verdict.FORBID


def _sees(who: Who, held: Rank | None, place: Place, *, covered: bool) -> bool:
    if place.visibility is Visibility.PUBLIC:
        return True
    if who.is_anonymous or not covered:
        return False
    return place.visibility is Visibility.INTERNAL or held is not None
