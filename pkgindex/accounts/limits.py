"""What a token may carry, and that nobody hands on more than they hold. Imports no Django."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from pkgindex.accounts.roles import Scope, Who
from pkgindex.errors import Forbidden, InvalidRequest

NAME_LENGTH = 100
MOST_PATTERNS = 100
PATTERN_LENGTH = 200
_PATTERN = re.compile(r"[a-z0-9*]+(?:-[a-z0-9*]+)*")


def clean_name(name: str) -> str:
    """The token's name on one line. Raises InvalidRequest for an empty, long or unprintable one."""
    line = " ".join(name.split())
    if not line or len(line) > NAME_LENGTH or not line.isprintable():
        raise InvalidRequest(f"A token's name has 1 to {NAME_LENGTH} printable characters.")
    return line


def clean_scopes(given: Iterable[str]) -> frozenset[Scope]:
    """The scopes as values. Raises InvalidRequest for none or an unknown one."""
    try:
        scopes = frozenset(Scope(scope) for scope in given)
    except ValueError:
        scopes = frozenset()
    if not scopes:
        raise InvalidRequest(f"A token needs one or more of the scopes {', '.join(scope.value for scope in Scope)}.")
    return scopes


def clean_patterns(given: Iterable[str]) -> tuple[str, ...]:
    """The patterns without doubles, in order: normalised names (PEP 503) with `*` for any characters.

    Raises InvalidRequest.
    """
    patterns = tuple(dict.fromkeys(given))
    if len(patterns) > MOST_PATTERNS:
        raise InvalidRequest(f"A token has at most {MOST_PATTERNS} project patterns.")
    for pattern in patterns:
        if len(pattern) > PATTERN_LENGTH or not _PATTERN.fullmatch(pattern):
            raise InvalidRequest(
                "A project pattern is a normalised name (lower case, single dashes) that may hold *, such as team-*."
            )
    return patterns


def check_expiry(expires_at: datetime | None) -> None:
    """Raise InvalidRequest for a time that has passed or has no time zone."""
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= datetime.now(UTC)):
        raise InvalidRequest("A token's expiry lies in the future.")


def check_no_more_than(
    who: Who,
    scopes: frozenset[Scope],
    index_id: int | None,
    patterns: tuple[str, ...],
    expires_at: datetime | None,
) -> None:
    """Raise Forbidden where a token would reach further, or live longer, than the token that asks for it.

    A caller without a token has every scope and no limits. A pattern lies within another where that one matches it
    read as plain text: then it matches all that the first can.
    """
    reasons = {
        "scopes": scopes <= who.scopes,
        "index": who.token_index_id in {None, index_id},
        "project patterns": not who.project_patterns
        or (bool(patterns) and all(_within(pattern, who.project_patterns) for pattern in patterns)),
        "expiry": who.expires_at is None or (expires_at is not None and expires_at.timestamp() <= who.expires_at),
    }
    beyond = [name for name, within in reasons.items() if not within]
    if beyond:
        raise Forbidden(f"A token cannot hand on more than it has; this goes beyond its {' and '.join(beyond)}.")


def _within(pattern: str, held: tuple[str, ...]) -> bool:
    return any(fnmatchcase(pattern, wider) for wider in held)
