"""From rows to a `Who`, and from a `Who` to JSON and back for the caches."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q

from pkgindex.accounts.models import Role, Token, User
from pkgindex.accounts.roles import ALL_SCOPES, Rank, Scope, Who
from pkgindex.prepared import Select, ask

_roles = Select(
    lambda user: Role.objects.filter(held_roles(user)).order_by().values_list("index_id", "project_id", "rank"),
    987_654_321,
)
_groups = Select(
    lambda user: User.groups.through.objects.filter(user_id=user).order_by("group_id").values_list("group_id"),
    987_654_321,
)


def who_of_user(user: User, token: Token | None = None) -> Who:
    """The user as a caller, within the limits of `token`; without one, with every scope. Two queries: ranks, groups."""
    roles, groups = ask(_roles.statement(user.pk), _groups.statement(user.pk))
    index_ranks, project_ranks = _ranks(roles)
    limits: dict[str, Any] = {"scopes": ALL_SCOPES}
    if token is not None:
        limits = {
            "token_id": token.pk,
            "token_name": token.name,
            "scopes": token.get_scopes(),
            "token_index_id": token.index_id,
            "project_patterns": tuple(token.project_patterns),
            "expires_at": token.expires_at.timestamp() if token.expires_at else None,
        }
    return Who(
        user_id=user.pk,
        username=user.username,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
        group_ids=tuple(group for (group,) in groups),
        index_ranks=index_ranks,
        project_ranks=project_ranks,
        **limits,
    )


def held_roles(user_id: int) -> Q:
    """Selects the roles of a user and of all the user's groups."""
    return Q(user_id=user_id) | Q(group__in=User.groups.through.objects.filter(user_id=user_id).values("group_id"))


def _ranks(roles: Iterable[tuple[Any, ...]]) -> tuple[dict[int, Rank], dict[int, Rank]]:
    by_index: dict[int, Rank] = {}
    by_project: dict[int, Rank] = {}
    for index_id, project_id, held in roles:
        ranks, key = (by_index, index_id) if index_id is not None else (by_project, project_id)
        rank = Rank(held)
        if key not in ranks or ranks[key].height < rank.height:
            ranks[key] = rank
    return by_index, by_project


def dump(who: Who) -> dict[str, Any]:
    """The value as JSON-ready data."""
    data = {name: getattr(who, name) for name in Who.__slots__}
    return data | {
        "scopes": sorted(scope.value for scope in who.scopes),
        "index_ranks": {str(key): rank.value for key, rank in who.index_ranks.items()},
        "project_ranks": {str(key): rank.value for key, rank in who.project_ranks.items()},
    }


def restore(data: dict[str, Any]) -> Who:
    """What `dump` made, as the value again."""
    return Who(
        **data
        | {
            "scopes": frozenset(Scope(scope) for scope in data["scopes"]),
            "project_patterns": tuple(data["project_patterns"]),
            "group_ids": tuple(data["group_ids"]),
            "index_ranks": _restore_ranks(data["index_ranks"]),
            "project_ranks": _restore_ranks(data["project_ranks"]),
        }
    )


def _restore_ranks(data: Mapping[str, str]) -> dict[int, Rank]:
    return {int(key): Rank(rank) for key, rank in data.items()}
