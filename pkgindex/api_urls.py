"""The REST API: version 1, its schema and its page. Hung under `api/`."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from balancing import api as mirrors
from pkgindex import limits_openapi, mirrors_openapi
from pkgindex.accounts.rest import Operator
from pkgindex.answers import problem
from pkgindex.errors import NotFound
from throttling.api import UsageView, register

__all__ = ["limits_openapi", "mirrors_openapi", "urlpatterns"]

limits = SimpleRouter()
register(limits)
nodes = SimpleRouter()
mirrors.register(nodes, permission_classes=[Operator])


def nothing(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - every path gets the same answer
    """Programs get problem details for a mistyped address too."""
    return problem(NotFound("There is no such address in the API; all of them end with a slash: see /api/docs/."))


urlpatterns = [
    path("v1/", include("pkgindex.accounts.urls")),
    path("v1/", include("pkgindex.catalog.urls")),
    path("v1/", include(limits.urls)),
    path("v1/", include(nodes.urls)),
    path("v1/usage/", UsageView.as_view(), name="api-usage"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    re_path(r"", nothing),
]
