"""By what the API's lists of the catalogue are filtered and ordered."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from packaging.version import InvalidVersion
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from pkgindex.accounts.models import Role
from pkgindex.catalog.models import File, JournalEntry, Project, Release
from pkgindex.catalog.names import normalize, release_key

Rows = QuerySet[Any]


class Ordering(OrderingFilter):
    """`?ordering=`, always ended by the primary key: rows that compare equal must not move between pages."""

    def get_ordering(self, request: Request, queryset: Rows, view: APIView) -> list[str]:
        """The columns to order by."""
        asked = super().get_ordering(request, queryset, view) or ()
        return [*asked, "pk"]


class NameFilter(filters.CharFilter):
    """A project by its name in any spelling (PEP 503)."""

    def filter(self, qs: Rows, value: str) -> Rows:
        """Only rows of that project."""
        return super().filter(qs, normalize(value) if value else value)


class VersionFilter(filters.CharFilter):
    """A release by its version in any spelling (PEP 440); no version, no rows."""

    def filter(self, qs: Rows, value: str) -> Rows:
        """Only rows of that release."""
        try:
            return super().filter(qs, release_key(value) if value else value)
        except InvalidVersion:
            return qs.none()


class ProjectFilter(filters.FilterSet):
    """Of `/projects/`."""

    index = filters.CharFilter(field_name="index__slug", help_text="Slug of the index.")
    name = NameFilter(field_name="normalized_name")

    class Meta:
        model = Project
        fields = ["index", "name", "status"]


class ReleaseFilter(filters.FilterSet):
    """Of `/releases/`."""

    index = filters.CharFilter(field_name="project__index__slug", help_text="Slug of the index.")
    project = NameFilter(field_name="project__normalized_name")
    version = VersionFilter(field_name="canonical_version")

    class Meta:
        model = Release
        fields = ["index", "project", "version", "yanked"]


class FileFilter(filters.FilterSet):
    """Of `/files/`."""

    index = filters.CharFilter(field_name="index__slug", help_text="Slug of the index.")
    project = NameFilter(field_name="release__project__normalized_name")
    version = VersionFilter(field_name="release__canonical_version")
    sha256 = filters.CharFilter(field_name="blob_id")
    uploaded_after = filters.IsoDateTimeFilter(field_name="uploaded_at", lookup_expr="gte")
    uploaded_before = filters.IsoDateTimeFilter(field_name="uploaded_at", lookup_expr="lt")

    class Meta:
        model = File
        fields = ["index", "project", "version", "filename", "packagetype", "yanked"]


class JournalFilter(filters.FilterSet):
    """Of `/journal/`."""

    since = filters.NumberFilter(field_name="serial", lookup_expr="gt", help_text="Entries after this serial.")
    index = filters.CharFilter(field_name="index__slug", help_text="Slug of the index.")
    project = NameFilter(field_name="normalized_name")

    class Meta:
        model = JournalEntry
        fields = ["since", "index", "project", "action"]


class RoleFilter(filters.FilterSet):
    """Of `/roles/`."""

    index = filters.CharFilter(method="filter_index", help_text="Slug: roles on the index and on its projects.")
    project = NameFilter(field_name="project__normalized_name")
    user = filters.CharFilter(field_name="user__username")
    group = filters.CharFilter(field_name="group__name")

    class Meta:
        model = Role
        fields = ["index", "project", "user", "group", "rank"]

    def filter_index(self, queryset: Rows, _name: str, value: str) -> Rows:
        """Roles on the index itself and on everything in it."""
        return queryset.filter(index__slug=value) | queryset.filter(project__index__slug=value)
