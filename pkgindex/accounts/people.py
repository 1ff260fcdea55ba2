"""Creating, changing and deleting users and groups: each one transaction with its audit row, for administrators."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from pkgindex.accounts.identity import forget_user
from pkgindex.accounts.models import User
from pkgindex.accounts.permissions import require_operator
from pkgindex.accounts.roles import Who
from pkgindex.audit.record import Actor, record
from pkgindex.errors import Forbidden, InvalidRequest

POWERS = ("is_active", "is_superuser")


def create_user(actor: Actor, who: Who | None, username: str, password: str | None = None, **fields: Any) -> User:
    """A new user; without a password, one that can only use tokens.

    `who` must be an administrator, None where that is decided already. Raises InvalidRequest for a username that is
    taken or misspelt and for a password that is too easy.
    """
    if who is not None:
        require_operator(who, "create users")
    user = User(username=User.normalize_username(username), **fields)
    _set_password(user, password)
    try:
        user.clean_fields(exclude=["password"])
        with transaction.atomic():
            user.save(force_insert=True)
            record(actor, "create user", "user", user.username, fields=sorted(fields))
    except ValidationError as error:
        raise InvalidRequest(" ".join(error.messages)) from None
    except IntegrityError:
        raise InvalidRequest(f"There is a user '{user.username}' already.") from None
    return user


def change_user(actor: Actor, who: Who | None, user: User, **fields: Any) -> User:
    """Change columns of a user; `password` is hashed, None takes it away.

    Raises Forbidden for what would lock the caller out: taking one's own powers.
    """
    if who is not None:
        require_operator(who, "change users")
        if who.user_id == user.pk and any(fields.get(name) is False for name in POWERS):
            raise Forbidden("Nobody takes their own account's powers; another administrator can.")
    changed = sorted(fields)
    if "password" in fields:
        _set_password(user, fields.pop("password"))
    for name, value in fields.items():
        setattr(user, name, value)
    with transaction.atomic():
        user.save(update_fields=changed)
        record(actor, "change user", "user", user.username, fields=changed)
        forget_user(user.pk, user.username)
    return user


def delete_user(actor: Actor, who: Who | None, user: User) -> None:
    """Delete a user with all tokens and roles; what the user published stays. Not oneself."""
    if who is not None:
        require_operator(who, "delete users")
        if who.user_id == user.pk:
            raise Forbidden("Nobody deletes their own account; another administrator can.")
    with transaction.atomic():
        forget_user(user.pk, user.username)
        record(actor, "delete user", "user", user.username)
        user.delete()


def save_group(
    actor: Actor, who: Who | None, group: Group, *, name: str | None = None, members: Iterable[User] | None = None
) -> Group:
    """Create or change a group; None leaves name or members as they are. Roles follow within five seconds.

    Raises InvalidRequest for a name that is taken.
    """
    if who is not None:
        require_operator(who, "change groups")
    action = "change group" if group.pk else "create group"
    detail: dict[str, Any] = {}
    if name is not None:
        group.name = name
    try:
        with transaction.atomic():
            group.save()
            if members is not None:
                users = list(members)
                group.user_set.set(users)
                detail["members"] = sorted(user.username for user in users)
            record(actor, action, "group", group.name, **detail)
    except IntegrityError:
        raise InvalidRequest(f"There is a group '{group.name}' already.") from None
    return group


def delete_group(actor: Actor, who: Who | None, group: Group) -> None:
    """Delete a group with its roles; its members stay."""
    if who is not None:
        require_operator(who, "delete groups")
    with transaction.atomic():
        record(actor, "delete group", "group", group.name)
        group.delete()


def _set_password(user: User, password: str | None) -> None:
    if password is None:
        user.set_unusable_password()
        return
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidRequest(" ".join(error.messages)) from None
    user.set_password(password)
