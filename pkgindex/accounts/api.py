"""The REST API of the caller and of tokens."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pkgindex.accounts import serializers, services
from pkgindex.accounts.models import Role, Token, User
from pkgindex.accounts.permissions import require_scope
from pkgindex.accounts.rest import SignedIn, actor_from, who_of
from pkgindex.accounts.roles import ALL_SCOPES, Rank, Scope, Who
from pkgindex.accounts.visibility import readable_indexes
from pkgindex.accounts.whois import held_roles
from pkgindex.errors import InvalidRequest, NotFound

NO_STORE = {"Cache-Control": "no-store"}


class WhoamiView(APIView):
    """The caller: name, token, scopes, ranks."""

    permission_classes = [SignedIn]

    @extend_schema(responses=serializers.WhoamiSerializer)
    def get(self, request: Request) -> Response:
        """Who you are to this service, and what you may do."""
        who = who_of(request)
        found = {
            "username": who.username,
            "is_superuser": who.is_superuser,
            "token": _brief(who),
            "scopes": [scope.value for scope in Scope if scope in who.scopes],
            "ranks": _ranks(who),
        }
        return Response(serializers.WhoamiSerializer(found).data, headers=NO_STORE)


class TokenFilter(filters.FilterSet):
    """Of `/tokens/`."""

    user = filters.CharFilter(field_name="user__username")
    index = filters.CharFilter(field_name="index__slug")
    revoked = filters.BooleanFilter(field_name="revoked_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Token
        fields = ["user", "index", "revoked", "name"]


class TokenViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Token]):
    """The caller's own tokens; for administrators everyone's."""

    permission_classes = [SignedIn]
    filter_backends = [filters.DjangoFilterBackend, SearchFilter, OrderingFilter]
    serializer_class = serializers.TokenSerializer
    queryset = Token.objects.select_related("user", "index")
    filterset_class = TokenFilter
    search_fields = ["name", "hint", "user__username"]
    ordering_fields = ["id"]
    ordering = ["-id"]

    def get_queryset(self) -> QuerySet[Token]:
        """Own tokens, or all; through a token with limits only those of the same index."""
        who = who_of(self.request)
        rows = super().get_queryset()
        if not (who.is_superuser and Scope.ADMIN in who.scopes):
            rows = rows.filter(user_id=who.user_id or 0)
        return rows if who.token_index_id is None else rows.filter(index_id=who.token_index_id)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One page of them."""
        require_scope(who_of(request), Scope.READ, "read lists")
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, pk: int) -> Response:  # noqa: ARG002 - the route's signature
        """One token."""
        return Response(self.get_serializer(self._find(pk)).data)

    @extend_schema(request=serializers.IssueSerializer, responses={201: serializers.IssuedTokenSerializer})
    def create(self, request: Request) -> Response:
        """Issue a token. This answer holds its secret; no other will."""
        who = who_of(request)
        require_scope(who, Scope.ADMIN, "issue tokens")
        body = serializers.IssueSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        user, index = _user(who, given.pop("user", None)), _index(who, given.pop("index"))
        token, secret = services.issue(actor_from(request), who, user, index=index, **given)
        return self._issued(token, secret)

    @extend_schema(request=serializers.RotateSerializer, responses={201: serializers.IssuedTokenSerializer})
    def rotate(self, request: Request, pk: int) -> Response:
        """Replace a token by one with the same limits. This answer holds the new secret; no other will."""
        token = self._find(pk)
        body = serializers.RotateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made, secret = services.rotate(
            actor_from(request), who_of(request), token, body.validated_data["overlap_hours"]
        )
        return self._issued(made, secret)

    @extend_schema(request=None, responses=serializers.TokenSerializer)
    def revoke(self, request: Request, pk: int) -> Response:
        """End a token now; one that has ended stays as it was."""
        services.revoke(actor_from(request), who_of(request), self._find(pk))
        return Response(self.get_serializer(self._find(pk)).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """End a token now; its row stays, so that the token can say that it was revoked."""
        services.revoke(actor_from(request), who_of(request), self._find(pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _find(self, pk: int) -> Token:
        own = who_of(self.request).token_id == pk
        rows = Token.objects.select_related("user", "index") if own else self.get_queryset()
        token = rows.filter(pk=pk).first()
        if token is None:
            raise NotFound(f"There is no token {pk} here, or it is not yours.")
        return token

    def _issued(self, token: Token, secret: str) -> Response:
        data = self.get_serializer(token).data | {"secret": secret}
        return Response(data, status=status.HTTP_201_CREATED, headers=NO_STORE)


def _user(who: Who, username: str | None) -> User:
    name = who.username if username is None else username
    known = User.objects.filter(username=name) if who.is_superuser or name == who.username else User.objects.none()
    user = known.first()
    if user is None:
        raise InvalidRequest("There is no user of that name whose tokens you manage.")
    return user


def _index(who: Who, slug: str | None) -> models.Model | None:
    if slug is None:
        return None
    # Which indexes exist for the caller, whatever the scopes at hand; a role on one project of a private index counts.
    seen = readable_indexes(replace(who, scopes=ALL_SCOPES))
    if who.token_index_id is None:
        seen |= models.Q(projects__in=list(who.project_ranks))
    index = _indexes().filter(seen, slug=slug).distinct().first()
    if index is None:
        raise InvalidRequest(f"There is no index '{slug}' here, or you may not see it.")
    return index


def _indexes() -> QuerySet[Any]:
    # The catalogue is a floor above: its table is known here by the relation alone.
    model: Any = Token._meta.get_field("index").related_model  # noqa: SLF001 - Django's documented Meta API
    return model._default_manager.all()  # noqa: SLF001 - likewise


def _brief(who: Who) -> dict[str, Any] | None:
    if who.token_id is None:
        return None
    slug = _indexes().filter(pk=who.token_index_id).values_list("slug", flat=True).first()
    return {
        "id": who.token_id,
        "name": who.token_name,
        "index": slug if who.token_index_id is not None else None,
        "project_patterns": list(who.project_patterns),
        "expires_at": datetime.fromtimestamp(who.expires_at, UTC) if who.expires_at is not None else None,
    }


def _ranks(who: Who) -> list[dict[str, Any]]:
    best: dict[tuple[str, str | None], Rank] = {}
    rows = Role.objects.filter(held_roles(who.user_id or 0)).values_list(
        "index__slug", "project__index__slug", "project__normalized_name", "rank"
    )
    for slug, project_slug, name, held in rows:
        key, rank = (slug or project_slug, name), Rank(held)
        if key not in best or best[key].height < rank.height:
            best[key] = rank
    ordered = sorted(best.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    return [{"index": slug, "project": name, "rank": rank.value} for (slug, name), rank in ordered]
