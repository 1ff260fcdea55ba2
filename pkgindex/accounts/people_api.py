"""The REST API of users, groups and the audit trail: for administrators."""

from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.request import Request
from rest_framework.response import Response

from pkgindex.accounts import people, serializers
from pkgindex.accounts.models import User
from pkgindex.accounts.rest import Operator, actor_from, who_of
from pkgindex.audit.models import AuditEntry

BACKENDS = [filters.DjangoFilterBackend, SearchFilter, OrderingFilter]


class UserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[User]):
    """Users."""

    what = "users"
    permission_classes = [Operator]
    filter_backends = BACKENDS
    serializer_class = serializers.UserSerializer
    queryset = User.objects.all()
    lookup_field = "username"
    filterset_fields = ["is_active", "is_staff", "is_superuser", "email"]
    search_fields = ["username", "email", "first_name", "last_name"]
    ordering_fields = ["username", "id"]
    ordering = ["username"]

    def create(self, request: Request) -> Response:
        """Create a user; without a password, one that uses tokens only."""
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        user = people.create_user(actor_from(request), who_of(request), **body.validated_data)
        return Response(self.get_serializer(user).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, username: str) -> Response:  # noqa: ARG002 - get_object reads it
        """Change the fields that are named."""
        user = self.get_object()
        body = self.get_serializer(user, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        changed = {name: value for name, value in body.validated_data.items() if name != "username"}
        if changed:
            people.change_user(actor_from(request), who_of(request), user, **changed)
        return Response(self.get_serializer(user).data)

    def destroy(self, request: Request, username: str) -> Response:  # noqa: ARG002 - get_object reads it
        """Delete a user with tokens and roles; `is_active: false` is the gentler way."""
        people.delete_user(actor_from(request), who_of(request), self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(list=extend_schema(responses=serializers.GroupSerializer(many=True)))
class GroupViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Group]):
    """Groups and their members."""

    what = "groups"
    permission_classes = [Operator]
    filter_backends = BACKENDS
    serializer_class = serializers.GroupDetailSerializer
    queryset = Group.objects.all()
    filterset_fields = ["name"]
    search_fields = ["name"]
    ordering_fields = ["name", "id"]
    ordering = ["name"]

    def get_queryset(self) -> QuerySet[Group]:
        """With the number of members for a list, and with the members for one group."""
        rows = super().get_queryset()
        return rows.annotate(member_count=Count("user")) if self.action == "list" else rows

    def get_serializer_class(self) -> Any:
        """Members are named one group at a time: there can be thousands."""
        return serializers.GroupSerializer if self.action == "list" else self.serializer_class

    def create(self, request: Request) -> Response:
        """Create a group."""
        return self._save(request, Group(), status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: int) -> Response:  # noqa: ARG002 - get_object reads it
        """Change the name, or replace the members."""
        return self._save(request, self.get_object(), status.HTTP_200_OK)

    def destroy(self, request: Request, pk: int) -> Response:  # noqa: ARG002 - get_object reads it
        """Delete a group with its roles."""
        people.delete_group(actor_from(request), who_of(request), self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _save(self, request: Request, group: Group, code: int) -> Response:
        existing = group if group.pk else None
        body = self.get_serializer(existing, data=request.data, partial=existing is not None)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        people.save_group(
            actor_from(request), who_of(request), group, name=given.get("name"), members=given.get("user_set")
        )
        return Response(self.get_serializer(group).data, status=code)


class AuditFilter(filters.FilterSet):
    """Of `/audit/`."""

    actor = filters.CharFilter(field_name="actor__username")
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields = ["actor", "action", "target_type", "target", "since", "until"]


class AuditViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[AuditEntry]):
    """The audit trail, newest first."""

    what = "the audit trail"
    permission_classes = [Operator]
    filter_backends = BACKENDS
    serializer_class = serializers.AuditSerializer
    queryset = AuditEntry.objects.all()
    filterset_class = AuditFilter
    search_fields = ["actor_label", "target"]
    ordering_fields = ["id"]
    ordering = ["-id"]
