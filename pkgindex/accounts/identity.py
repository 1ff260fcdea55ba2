"""From the Authorization header to a `Who`."""

import base64
import hashlib

from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.utils import timezone

from pkgindex.accounts.models import Role, Token, User
from pkgindex.accounts.roles import ALL_SCOPES, ANONYMOUS, Rank, Who
from pkgindex.audit.record import Actor
from pkgindex.clientip import client_ip
from pkgindex.errors import InvalidCredentials


def identify(request: HttpRequest) -> Who:
    """Who sends this request, by its Authorization header alone; ANONYMOUS without one.

    Raises InvalidCredentials with the reason: unknown, revoked or expired token, wrong password, inactive user.
    """
    kind, _, value = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if not kind:
        return ANONYMOUS
    if kind.lower() in {"bearer", "token"}:
        return _by_token(value.strip())
    username, _, password = base64.b64decode(value).decode().partition(":")
    if username == "__token__":
        return _by_token(password.strip())
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        raise InvalidCredentials("The username or password is wrong.")
    return _who(user, None)


def actor_of(request: HttpRequest, who: Who) -> Actor:
    """The caller as audit rows name them."""
    return Actor(who.user_id, who.label, client_ip(request))


def _by_token(secret: str) -> Who:
    token = Token.objects.filter(digest=hashlib.sha256(secret.encode()).hexdigest()).select_related("user").first()
    if token is None:
        raise InvalidCredentials("This token is not known here.")
    if token.revoked_at or (token.expires_at and token.expires_at < timezone.now()):
        raise InvalidCredentials("This token was revoked or has expired.")
    return _who(token.user, token)


def _who(user: User, token: Token | None) -> Who:
    roles = Role.objects.filter(user=user) | Role.objects.filter(group__in=user.groups.all())
    index_ranks: dict[int, Rank] = {}
    project_ranks: dict[int, Rank] = {}
    for role in roles:
        ranks, key = (index_ranks, role.index_id) if role.index_id else (project_ranks, role.project_id)
        rank = Rank(role.rank)
        if key is not None and (key not in ranks or ranks[key].height < rank.height):
            ranks[key] = rank
    return Who(
        user_id=user.pk,
        username=user.username,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
        token_id=token.pk if token else None,
        token_name=token.name if token else "",
        scopes=token.get_scopes() if token else ALL_SCOPES,
        token_index_id=token.index_id if token else None,
        project_patterns=tuple(token.project_patterns) if token else (),
        index_ranks=index_ranks,
        project_ranks=project_ranks,
    )
