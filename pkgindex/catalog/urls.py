"""The catalogue's part of the REST API: flat lists to search in, and every object under its own names."""

from typing import Any

from django.urls import path, register_converter

from pkgindex.catalog.api import FileViewSet, IndexViewSet, JournalViewSet, ProjectViewSet, ReleaseViewSet
from pkgindex.catalog.roles_api import RoleViewSet


class Slug:
    """Of an index."""

    regex = "[a-z0-9-]+"

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


class Name(Slug):
    """Of a project, in any spelling."""

    regex = "[A-Za-z0-9._-]+"


class Spelling(Slug):
    """A version or a file name."""

    regex = "[A-Za-z0-9._+!-]+"


register_converter(Slug, "index")
register_converter(Name, "project")
register_converter(Spelling, "spelling")

PROJECT = "indexes/<index:slug>/projects/<project:name>/"
RELEASE = PROJECT + "releases/<spelling:version>/"
FILE = PROJECT + "files/<spelling:filename>/"
ROW: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}

urlpatterns = [
    path("indexes/", IndexViewSet.as_view({"get": "list", "post": "create"}), name="api-indexes"),
    path("indexes/<index:slug>/", IndexViewSet.as_view(ROW | {"patch": "partial_update"}), name="api-index"),
    path("projects/", ProjectViewSet.as_view({"get": "list"}), name="api-projects"),
    path("releases/", ReleaseViewSet.as_view({"get": "list"}), name="api-releases"),
    path("files/", FileViewSet.as_view({"get": "list"}), name="api-files"),
    path("journal/", JournalViewSet.as_view({"get": "list"}), name="api-journal"),
    path(PROJECT, ProjectViewSet.as_view(ROW), name="api-project"),
    path(PROJECT + "status/", ProjectViewSet.as_view({"post": "set_status"}), name="api-project-status"),
    path(RELEASE, ReleaseViewSet.as_view(ROW), name="api-release"),
    path(RELEASE + "yank/", ReleaseViewSet.as_view({"post": "yank"}), name="api-release-yank"),
    path(RELEASE + "unyank/", ReleaseViewSet.as_view({"post": "unyank"}), name="api-release-unyank"),
    path(FILE, FileViewSet.as_view(ROW), name="api-file"),
    path(FILE + "yank/", FileViewSet.as_view({"post": "yank"}), name="api-file-yank"),
    path(FILE + "unyank/", FileViewSet.as_view({"post": "unyank"}), name="api-file-unyank"),
    path("roles/", RoleViewSet.as_view({"get": "list", "post": "create"}), name="api-roles"),
    path("roles/<int:pk>/", RoleViewSet.as_view(ROW | {"patch": "partial_update"}), name="api-role"),
]
