"""Issuing, rotating and revoking tokens; granting and revoking roles. Each is one transaction with its audit row.

`who` decides; it is None where the caller has decided already: a command by being the operator's, the admin site by
Django's permissions.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from pkgindex.accounts import limits, tokens
from pkgindex.accounts.identity import forget_tokens
from pkgindex.accounts.models import Token, User
from pkgindex.accounts.permissions import require_scope
from pkgindex.accounts.roles import Scope, Who
from pkgindex.audit.record import Actor, record
from pkgindex.errors import Forbidden, InvalidRequest

LONGEST_OVERLAP = 168  # hours


def issue(
    actor: Actor,
    who: Who | None,
    user: User,
    name: str,
    scopes: Iterable[str],
    index: Any = None,
    project_patterns: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """A new token of `user` and its secret, which is known only now.

    `index` is a row of the catalogue's Index, None for every index.
    Raises InvalidRequest for limits that make no sense; Forbidden where `who` is somebody else and no superuser, or
    acts through a token without the scope `admin` or with narrower limits.
    """
    name, wanted = limits.clean_name(name), limits.clean_scopes(scopes)
    patterns = limits.clean_patterns(project_patterns)
    limits.check_expiry(expires_at)
    if not user.is_active:
        raise InvalidRequest(f"The account '{user.username}' is not active.")
    if who is not None:
        require_scope(who, Scope.ADMIN, "issue tokens")
        _require_own(who, user.pk)
        limits.check_no_more_than(who, wanted, index.pk if index else None, patterns, expires_at)
    secret = tokens.generate()
    with transaction.atomic():
        token = Token.objects.create(
            user=user,
            name=name,
            digest=tokens.digest(secret),
            hint=tokens.hint(secret),
            scopes=[scope.value for scope in Scope if scope in wanted],
            index=index,
            project_patterns=list(patterns),
            expires_at=expires_at,
        )
        _record(actor, "issue token", token)
    return token, secret


def rotate(actor: Actor, who: Who | None, token: Token, overlap_hours: int = 0) -> tuple[Token, str]:
    """A new token with the same name and limits, and its secret; the old one ends now or `overlap_hours` later.

    Raises InvalidRequest for a token that is revoked or expired, and what `issue` raises.
    """
    if not 0 <= overlap_hours <= LONGEST_OVERLAP:
        raise InvalidRequest(f"The overlap is 0 to {LONGEST_OVERLAP} hours.")
    with transaction.atomic():
        _end_for_rotation(token, overlap_hours)
        made, secret = issue(
            actor, who, token.user, token.name, token.scopes, token.index, token.project_patterns, token.expires_at
        )
        record(actor, "rotate token", "token", _target(token), token=token.pk, successor=made.pk, overlap=overlap_hours)
        transaction.on_commit(lambda: forget_tokens(token.digest))
    return made, secret


def revoke(actor: Actor, who: Who | None, token: Token) -> bool:
    """End the token now; False where it was revoked already. A token may revoke itself whatever its scopes.

    Raises Forbidden where `who` is somebody else and no superuser, or another token without the scope `admin`.
    """
    if who is not None and who.token_id != token.pk:
        require_scope(who, Scope.ADMIN, "revoke other tokens")
        _require_own(who, token.user_id)
    with transaction.atomic():
        if not Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            return False
        _record(actor, "revoke token", token)
        transaction.on_commit(lambda: forget_tokens(token.digest))
    return True


def _end_for_rotation(token: Token, overlap_hours: int) -> None:
    now = timezone.now()
    end = now + timedelta(hours=overlap_hours)
    alive = Token.objects.filter(pk=token.pk, revoked_at=None).exclude(expires_at__lte=now)
    if overlap_hours:
        changed = alive.update(expires_at=min(end, token.expires_at or end))
    else:
        changed = alive.update(revoked_at=now)
    if not changed:
        raise InvalidRequest("This token was revoked or has expired; issue a new one.")


def _require_own(who: Who, user_id: int) -> None:
    if who.user_id != user_id and not who.is_superuser:
        raise Forbidden("Only administrators manage the tokens of others.")


def _record(actor: Actor, action: str, token: Token) -> None:
    record(
        actor,
        action,
        "token",
        _target(token),
        token=token.pk,
        scopes=token.scopes,
        index=str(token.index) if token.index_id else None,
        project_patterns=token.project_patterns,
        expires_at=token.expires_at.isoformat() if token.expires_at else None,
    )


def _target(token: Token) -> str:
    return f"{token.user.username}/{token.name}"
