"""The rule of `roles.decide` for reading, as conditions of SQL: which rows of a list a caller may see."""

import re

from django.db.models import Q

from pkgindex.accounts.roles import Scope, Visibility, Who


def readable_indexes(who: Who) -> Q:
    """Selects the indexes that `who` may read as a whole."""
    public = Q(visibility=Visibility.PUBLIC.value)
    if who.is_anonymous or Scope.READ not in who.scopes:
        return public
    limits = Q() if who.token_index_id is None else Q(pk=who.token_index_id)
    if who.is_superuser:
        return public | limits if limits else Q()
    seen = Q(visibility=Visibility.INTERNAL.value) | Q(pk__in=list(who.index_ranks))
    return public | (seen & limits)


def readable_projects(who: Who, *, project: str = "", index: str = "") -> Q:
    """Selects the projects that `who` may read, or rows that belong to them.

    `project` and `index` lead from the listed row to both, such as `release__project`; empty `project` is the row
    itself, empty `index` is the project's own column.
    """
    path = f"{project}__" if project else ""
    where = index or f"{path}index"
    public = Q(**{f"{where}__visibility": Visibility.PUBLIC.value})
    if who.is_anonymous or Scope.READ not in who.scopes:
        return public
    limits = token_limits(who, f"{where}_id", f"{path}normalized_name")
    if who.is_superuser:
        return public | limits if limits else Q()
    seen = (
        Q(**{f"{where}__visibility": Visibility.INTERNAL.value})
        | Q(**{f"{where}_id__in": list(who.index_ranks)})
        | Q(**{f"{project}_id__in" if project else "pk__in": list(who.project_ranks)})
    )
    return public | (seen & limits)


def token_limits(who: Who, index_column: str, name_column: str) -> Q:
    """Selects what the caller's token reaches; an empty Q without limits."""
    limits = Q() if who.token_index_id is None else Q(**{index_column: who.token_index_id})
    if not who.project_patterns:
        return limits
    matching = Q()
    for pattern in who.project_patterns:
        matching |= _like(name_column, pattern)
    return limits & matching


def _like(column: str, pattern: str) -> Q:
    head, star, tail = pattern.partition("*")
    if not star:
        return Q(**{column: pattern})
    if not tail:
        return Q(**{f"{column}__startswith": head})
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return Q(**{f"{column}__regex": f"^{expression}$"})
