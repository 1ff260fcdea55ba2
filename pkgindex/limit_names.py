"""Who is meant where a plan is given to a name: users, groups and tokens, for `THROTTLING["NAMES"]`."""

from collections.abc import Iterable, Mapping

from django.contrib.auth.models import Group
from django.db.models import Model
from django.db.models.manager import Manager

from pkgindex.accounts.models import Token, User
from throttling.subjects import SubjectError

COLUMNS: dict[str, tuple[type[Model], str]] = {
    "user": (User, "username"),
    "group": (Group, "name"),
    "token": (Token, "name"),
}


class Accounts:
    """Names of accounts. A token is found by its name where only one has it."""

    def id_of(self, kind: str, name: str) -> str | None:
        """The id. Raises SubjectError where several tokens have the name."""
        found = _rows(kind).filter(**{COLUMNS[kind][1]: name}).values_list("pk", flat=True)[:2]
        if len(found) > 1:
            raise SubjectError(f"There are several tokens {name!r}: write token: and the id of one.")
        return str(found[0]) if found else None

    def names_of(self, kind: str, ids: Iterable[str]) -> Mapping[str, str]:
        """Names by id."""
        rows = _rows(kind).filter(pk__in=list(ids)).values_list("pk", COLUMNS[kind][1])
        return {str(pk): str(name) for pk, name in rows}


def accounts() -> Accounts:
    """What the setting names."""
    return Accounts()


def _rows(kind: str) -> "Manager[Model]":
    manager: Manager[Model] = COLUMNS[kind][0]._default_manager  # noqa: SLF001 - Django documents it as public
    return manager
