"""Names that people type for users, groups and tokens, and the ids by which callers are known.

`user:alice` means nothing to a counter, which knows `user:42`. The project says who is who, by the setting `NAMES`: the
dotted path of a callable that gives an object as `Names` describes it. Without it subjects are written with ids.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from django.utils.module_loading import import_string

from throttling import conf
from throttling.subjects import SubjectError, parse_subject

KINDS = ("user", "group", "token")
LONGEST = 200


class Names(Protocol):
    """Who is who."""

    def id_of(self, kind: str, name: str) -> str | None:
        """The id of the user, group or token of this name; None for nobody. Raises SubjectError where it is unclear."""

    def names_of(self, kind: str, ids: Iterable[str]) -> Mapping[str, str]:
        """Names by id, for those that exist."""


def resolve(text: str) -> str:
    """The subject's canonical key, with the id where a name was given. Digits are always an id. Raises SubjectError."""
    kind, _, name = text.strip().partition(":")
    names = _names()
    if kind not in KINDS or names is None or not name or len(name) > LONGEST or (name.isascii() and name.isdigit()):
        return parse_subject(text)
    found = names.id_of(kind, name)
    if found is None:
        raise SubjectError(f"There is no {kind} {name!r}.")
    return parse_subject(f"{kind}:{found}")


def labels(subjects: Iterable[str]) -> dict[str, str]:
    """How people read each of these subjects: `user:42 (alice)`; one query for each kind."""
    every = list(dict.fromkeys(subjects))
    found = {subject: subject for subject in every}
    names = _names()
    for kind in KINDS if names else ():
        ids = [subject.partition(":")[2] for subject in every if subject.startswith(f"{kind}:")]
        ids = [ident for ident in ids if ident.isascii() and ident.isdigit() and len(ident) < 19]
        for ident, name in (names.names_of(kind, ids) if names and ids else {}).items():
            found[f"{kind}:{ident}"] = f"{kind}:{ident} ({name})"
    return found


def _names() -> Names | None:
    path = conf.get().names
    return import_string(path)() if path else None
