"""The REST API of roles: granted, changed and taken away by the owners of an index or project."""

from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from pkgindex.accounts.grants import grant_role, revoke_role
from pkgindex.accounts.models import Role, User
from pkgindex.accounts.permissions import require
from pkgindex.accounts.rest import SignedIn, actor_from, who_of
from pkgindex.accounts.roles import Action, Place, Rank, Scope, Visibility, Who
from pkgindex.accounts.visibility import token_limits
from pkgindex.accounts.whois import held_roles
from pkgindex.catalog import filters, serializers
from pkgindex.catalog.lookup import find_project, index_view
from pkgindex.errors import InvalidRequest, NotFound


class RoleViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Role]):
    """Roles that the caller holds, and those on indexes and projects that the caller owns."""

    permission_classes = [SignedIn]
    filter_backends = [DjangoFilterBackend, filters.Ordering]
    serializer_class = serializers.RoleSerializer
    queryset = Role.objects.select_related("user", "group", "index", "project__index")
    filterset_class = filters.RoleFilter
    ordering_fields = ["created_at", "rank"]

    def get_queryset(self) -> QuerySet[Role]:
        """What the caller may know of."""
        who = who_of(self.request)
        return super().get_queryset().filter(held_roles(who.user_id or 0) | _owned(who))

    @extend_schema(request=serializers.GrantSerializer, responses={201: serializers.RoleSerializer})
    def create(self, request: Request) -> Response:
        """Grant a role; one that the holder has there already gets the new rank."""
        body = serializers.GrantSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        place, what = _place(who_of(request), given["index"], given.get("project"))
        role = grant_role(actor_from(request), who_of(request), place, what, _holder(given), given["rank"])
        return Response(self.get_serializer(self._reread(role)).data, status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, pk: int) -> Response:  # noqa: ARG002 - the route's signature
        """One role."""
        return Response(self.get_serializer(self._find(pk)).data)

    @extend_schema(request=serializers.RankSerializer, responses=serializers.RoleSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change the rank."""
        role = self._find(pk)
        body = serializers.RankSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        place, what = _place_of(role)
        holder = role.user or role.group
        assert holder is not None  # noqa: S101 - a database constraint
        role = grant_role(actor_from(request), who_of(request), place, what, holder, body.validated_data["rank"])
        return Response(self.get_serializer(self._reread(role)).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """Take the role away."""
        role = self._find(pk)
        place, what = _place_of(role)
        revoke_role(actor_from(request), who_of(request), place, what, role)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _find(self, pk: int) -> Role:
        role = self.get_queryset().filter(pk=pk).first()
        if role is None:
            raise NotFound(f"There is no role {pk} here, or you may not see it.")
        return role

    def _reread(self, role: Role) -> Role:
        return Role.objects.select_related("user", "group", "index", "project__index").get(pk=role.pk)


def _owned(who: Who) -> Q:
    """Selects the roles at places where `decide` allows OWN."""
    nothing = Q(pk__in=[])
    if Scope.ADMIN not in who.scopes:
        return nothing
    by_index = token_limits(Who(token_index_id=who.token_index_id), "index_id", "")
    by_project = token_limits(who, "project__index_id", "project__normalized_name")
    if who.is_superuser:
        return (Q(project=None) & by_index) | (Q(index=None) & by_project)
    indexes = [key for key, rank in who.index_ranks.items() if rank is Rank.OWNER]
    projects = [key for key, rank in who.project_ranks.items() if rank is Rank.OWNER]
    return (Q(index_id__in=indexes) & by_index) | (
        (Q(project__index_id__in=indexes) | Q(project_id__in=projects)) & by_project
    )


def _place(who: Who, slug: str, name: str | None) -> tuple[Place, str]:
    if name is None:
        view, what = index_view(who, slug), f"index '{slug}'"
        require(who, Action.OWN, view.place, what)
        return view.place, what
    return _place_of(Role(project=find_project(who, Action.OWN, slug, name)))


def _place_of(role: Role) -> tuple[Place, str]:
    if role.index is not None:
        return role.index.view().place, f"index '{role.index.slug}'"
    project = role.project
    assert project is not None  # noqa: S101 - a database constraint
    place = Place(project.index_id, Visibility(project.index.visibility), project.pk, project.normalized_name)
    return place, f"project '{project.index.slug}/{project.normalized_name}'"


def _holder(given: dict[str, Any]) -> User | Group:
    holder: User | Group | None
    if "user" in given:
        holder = User.objects.filter(username=given["user"]).first()
    else:
        holder = Group.objects.filter(name=given["group"]).first()
    if holder is None:
        raise InvalidRequest("There is no user or group of that name.")
    return holder
