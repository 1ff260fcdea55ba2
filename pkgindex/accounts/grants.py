"""Granting and revoking roles: the one writer of Role."""

from django.contrib.auth.models import Group
from django.db import transaction

from pkgindex.accounts.identity import forget_user
from pkgindex.accounts.models import Role, User
from pkgindex.accounts.permissions import require
from pkgindex.accounts.roles import Action, Place, Rank, Who, rank_of
from pkgindex.audit.record import Actor, record, recording
from pkgindex.errors import InvalidRequest
from pkgindex.prepared import Insert, Select, Statement

_add = Insert(Role)
_names = Select(lambda pk: User.objects.filter(pk=pk).order_by().values_list("username"), 987_654_321)


def grant_role(actor: Actor, who: Who | None, place: Place, what: str, holder: User | Group, rank: str) -> Role:
    """Give a user or group that rank at `place`, named `what` in sentences; a rank held there before is replaced.

    `who` must own the place; None where that is decided already. Raises InvalidRequest for an unknown rank.
    """
    if rank not in {known.value for known in Rank}:
        raise InvalidRequest(f"The rank is one of {', '.join(known.value for known in Rank)}.")
    _require(who, place, what)
    with transaction.atomic():
        role, created = Role.objects.get_or_create(**_key(place, holder), defaults={"rank": rank})
        if not created and not Role.objects.filter(pk=role.pk).exclude(rank=rank).update(rank=rank):
            return role
        role.rank = rank
        note_role(actor, "grant role" if created else "change role", role)
    return role


def owning_new_project(actor: Actor, who: Who | None, place: Place, slug: str, owner: int) -> list[Statement]:
    """What makes a user the owner of a project that was created in this transaction, where nobody has a role yet.

    `who` is the owner as they called, None where somebody else acts; `slug` is the index's. Nothing where the user is
    gone.
    """
    name = next((name for (name,) in _names(owner)), None)
    if name is None:
        return []
    # Whoever owns the index may do no more than before: their cached identity is as good as a new one.
    if who is None or rank_of(who, place) is not Rank.OWNER:
        forget_user(owner, name)
    target, rank = f"{slug}/{place.normalized_name}", Rank.OWNER.value
    return [
        _add.statement(project_id=place.project_id, user_id=owner, rank=rank),
        recording(actor, "grant role", "role", target, holder=f"user {name}", rank=rank),
    ]


def revoke_role(actor: Actor, who: Who | None, place: Place, what: str, role: Role) -> bool:
    """Take a role away; False where it was gone already. `who` must own the place."""
    _require(who, place, what)
    with transaction.atomic():
        if not Role.objects.filter(pk=role.pk).delete()[0]:
            return False
        note_role(actor, "revoke role", role)
    return True


def note_role(actor: Actor, action: str, role: Role) -> None:
    """Audit a role, also one that a form wrote, and forget what is cached of its holder.

    The members of a group follow within five seconds: there can be thousands.
    """
    holder = f"user {role.user}" if role.user_id else f"group {role.group}"
    record(actor, action, "role", _target(role), holder=holder, rank=role.rank)
    if role.user is not None:
        forget_user(role.user.pk, role.user.username)


def _require(who: Who | None, place: Place, what: str) -> None:
    if who is not None:
        require(who, Action.OWN, place, what)


def _key(place: Place, holder: User | Group) -> dict[str, object]:
    where = {"index_id": place.index_id} if place.project_id is None else {"project_id": place.project_id}
    return where | ({"user": holder} if isinstance(holder, User) else {"group": holder})


def _target(role: Role) -> str:
    if role.project is not None:
        return f"{role.project.index}/{role.project.normalized_name}"
    return str(role.index)
