"""The part of the REST API about people: the caller, tokens, users, groups, the audit trail."""

from typing import Any

from django.urls import path

from pkgindex.accounts import openapi
from pkgindex.accounts.api import TokenViewSet, WhoamiView
from pkgindex.accounts.people_api import AuditViewSet, GroupViewSet, UserViewSet

__all__ = ["openapi", "urlpatterns"]

LIST: dict[str, Any] = {"get": "list", "post": "create"}
ROW: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}

urlpatterns = [
    path("whoami/", WhoamiView.as_view(), name="api-whoami"),
    path("tokens/", TokenViewSet.as_view(LIST), name="api-tokens"),
    path("tokens/<int:pk>/", TokenViewSet.as_view({"get": "retrieve", "delete": "destroy"}), name="api-token"),
    path("tokens/<int:pk>/rotate/", TokenViewSet.as_view({"post": "rotate"}), name="api-token-rotate"),
    path("tokens/<int:pk>/revoke/", TokenViewSet.as_view({"post": "revoke"}), name="api-token-revoke"),
    path("users/", UserViewSet.as_view(LIST), name="api-users"),
    path("users/<str:username>/", UserViewSet.as_view(ROW), name="api-user"),
    path("groups/", GroupViewSet.as_view(LIST), name="api-groups"),
    path("groups/<int:pk>/", GroupViewSet.as_view(ROW), name="api-group"),
    path("audit/", AuditViewSet.as_view({"get": "list"}), name="api-audit"),
]
