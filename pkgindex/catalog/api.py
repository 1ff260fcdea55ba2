"""The REST API of the catalogue: parse, call, answer. What may be seen or done is decided by lookup and services."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.filters import SearchFilter
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from pkgindex.accounts.permissions import require, require_operator
from pkgindex.accounts.rest import actor_from, who_of
from pkgindex.accounts.roles import Action, Visibility
from pkgindex.accounts.visibility import readable_indexes, readable_projects, token_limits
from pkgindex.catalog import filters, serializers, services
from pkgindex.catalog.index_services import change_index, create_index, delete_index
from pkgindex.catalog.lookup import find_file, find_project, find_release, index_view, require_listing
from pkgindex.catalog.models import File, Index, JournalEntry, Project, Release
from pkgindex.errors import NotFound

BACKENDS = [DjangoFilterBackend, SearchFilter, filters.Ordering]
GONE = {204: None}


class CatalogueView(viewsets.GenericViewSet[Any]):
    """Anonymous callers come through: they may read what is public and are challenged elsewhere."""

    permission_classes = [AllowAny]
    filter_backends = BACKENDS

    def serial(self, serial: int | None) -> Response:
        """The answer to a change."""
        return Response({"serial": serial})

    def reason(self, request: Request) -> str:
        """The reason in a request's body."""
        body = serializers.ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return str(body.validated_data["reason"])


class Listing(mixins.ListModelMixin, CatalogueView):
    """A filtered list of rows that the caller may read."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One page of it."""
        require_listing(who_of(request), request.query_params.get("index", ""))
        return super().list(request, *args, **kwargs)


class IndexViewSet(Listing):
    """Indexes; changed by administrators."""

    serializer_class = serializers.IndexSerializer
    queryset = Index.objects.order_by("slug")
    search_fields = ["slug", "title"]
    filterset_fields = ["visibility", "is_default"]
    ordering_fields = ["slug", "created_at", "last_serial"]
    ordering = ["slug"]

    def get_queryset(self) -> QuerySet[Index]:
        """The indexes that the caller may read."""
        return super().get_queryset().filter(readable_indexes(who_of(self.request)))

    def retrieve(self, request: Request, slug: str) -> Response:
        """One index."""
        return Response(self.get_serializer(self._find(request, slug, Action.READ)).data)

    def create(self, request: Request) -> Response:
        """Create an index."""
        require_operator(who_of(request), "create indexes")  # first: a complaint about the slug would name indexes
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        index = create_index(actor_from(request), who_of(request), **body.validated_data)
        return Response(self.get_serializer(index).data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, slug: str) -> Response:
        """Change the settings that are named."""
        index = self._find(request, slug, Action.OWN)
        body = self.get_serializer(index, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        changed = {name: value for name, value in body.validated_data.items() if name != "slug"}
        change_index(actor_from(request), who_of(request), index, **changed)
        return Response(self.get_serializer(index).data)

    def destroy(self, request: Request, slug: str) -> Response:
        """Delete an index that holds no projects."""
        index = self._find(request, slug, Action.OWN)  # first: a refusal must not name what the caller may not see
        delete_index(actor_from(request), who_of(request), index)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _find(self, request: Request, slug: str, action: Action) -> Index:
        who = who_of(request)
        require(who, action, index_view(who, slug).place, f"index '{slug}'")
        index = Index.objects.filter(slug=slug).first()
        if index is None:
            raise NotFound(f"There is no index '{slug}' here.")
        return index


class ProjectViewSet(Listing):
    """Projects, found by index and name."""

    serializer_class = serializers.ProjectSerializer
    queryset = Project.objects.select_related("index")
    filterset_class = filters.ProjectFilter
    search_fields = ["normalized_name"]
    ordering_fields = ["normalized_name", "created_at", "last_serial"]
    ordering = ["normalized_name"]

    def get_queryset(self) -> QuerySet[Project]:
        """The projects that the caller may read."""
        return super().get_queryset().filter(readable_projects(who_of(self.request)))

    def retrieve(self, request: Request, slug: str, name: str) -> Response:
        """One project."""
        return Response(self.get_serializer(find_project(who_of(request), Action.READ, slug, name)).data)

    @extend_schema(responses=GONE)
    def destroy(self, request: Request, slug: str, name: str) -> Response:
        """Delete a project with its releases and files, for ever."""
        project = find_project(who_of(request), Action.MANAGE, slug, name)
        services.delete_project(actor_from(request), who_of(request), project)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=serializers.StatusSerializer, responses=serializers.SerialSerializer)
    def set_status(self, request: Request, slug: str, name: str) -> Response:
        """Set the status marker (PEP 792)."""
        project = find_project(who_of(request), Action.MANAGE, slug, name)
        body = serializers.StatusSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        return self.serial(
            services.set_status(actor_from(request), who_of(request), project, given["status"], given["reason"])
        )


class ReleaseViewSet(Listing):
    """Releases, found by index, project and version."""

    serializer_class = serializers.ReleaseSerializer
    queryset = Release.objects.select_related("project__index").defer("metadata", "description")
    filterset_class = filters.ReleaseFilter
    search_fields = ["project__normalized_name", "summary"]
    ordering_fields = ["created_at", "version"]
    ordering = ["-pk"]

    def get_queryset(self) -> QuerySet[Release]:
        """The releases that the caller may read."""
        return super().get_queryset().filter(readable_projects(who_of(self.request), project="project"))

    @extend_schema(responses=serializers.ReleaseDetailSerializer)
    def retrieve(self, request: Request, slug: str, name: str, version: str) -> Response:
        """One release with its core metadata."""
        release = find_release(who_of(request), Action.READ, slug, name, version)
        return Response(serializers.ReleaseDetailSerializer(release, context=self.get_serializer_context()).data)

    @extend_schema(responses=GONE)
    def destroy(self, request: Request, slug: str, name: str, version: str) -> Response:
        """Delete a release with its files, for ever."""
        release = find_release(who_of(request), Action.MANAGE, slug, name, version)
        services.delete_release(actor_from(request), who_of(request), release)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=serializers.ReasonSerializer, responses=serializers.SerialSerializer)
    def yank(self, request: Request, slug: str, name: str, version: str) -> Response:
        """Yank a release with all its files (PEP 592)."""
        release = find_release(who_of(request), Action.MANAGE, slug, name, version)
        return self.serial(services.yank_release(actor_from(request), who_of(request), release, self.reason(request)))

    @extend_schema(request=None, responses=serializers.SerialSerializer)
    def unyank(self, request: Request, slug: str, name: str, version: str) -> Response:
        """Take the yank of a release and its files back."""
        release = find_release(who_of(request), Action.MANAGE, slug, name, version)
        return self.serial(services.unyank_release(actor_from(request), who_of(request), release))


class FileViewSet(Listing):
    """Files, found by index, project and file name."""

    serializer_class = serializers.FileSerializer
    queryset = File.objects.select_related("index", "release__project", "uploaded_by").defer(
        "release__description", "release__metadata"
    )
    filterset_class = filters.FileFilter
    search_fields = ["filename"]
    ordering_fields = ["uploaded_at", "filename", "size"]
    ordering = ["-pk"]

    def get_queryset(self) -> QuerySet[File]:
        """The files that the caller may read."""
        visible = readable_projects(who_of(self.request), project="release__project", index="index")
        return super().get_queryset().filter(visible)

    def retrieve(self, request: Request, slug: str, name: str, filename: str) -> Response:
        """One file."""
        return Response(self.get_serializer(find_file(who_of(request), Action.READ, slug, name, filename)).data)

    @extend_schema(responses=GONE)
    def destroy(self, request: Request, slug: str, name: str, filename: str) -> Response:
        """Delete a file, for ever; its name can come back with the same bytes only."""
        file = find_file(who_of(request), Action.MANAGE, slug, name, filename)
        services.delete_file(actor_from(request), who_of(request), file)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=serializers.ReasonSerializer, responses=serializers.SerialSerializer)
    def yank(self, request: Request, slug: str, name: str, filename: str) -> Response:
        """Yank one file (PEP 592)."""
        file = find_file(who_of(request), Action.MANAGE, slug, name, filename)
        return self.serial(services.yank_file(actor_from(request), who_of(request), file, self.reason(request)))

    @extend_schema(request=None, responses=serializers.SerialSerializer)
    def unyank(self, request: Request, slug: str, name: str, filename: str) -> Response:
        """Take a file's yank back."""
        file = find_file(who_of(request), Action.MANAGE, slug, name, filename)
        return self.serial(services.unyank_file(actor_from(request), who_of(request), file))


class JournalViewSet(Listing):
    """The journal: every change that clients can see, oldest first; follow it with `since`."""

    serializer_class = serializers.JournalSerializer
    queryset = JournalEntry.objects.select_related("index")
    filterset_class = filters.JournalFilter
    search_fields = ["normalized_name", "filename"]
    ordering_fields = ["serial"]
    ordering = ["serial"]

    def get_queryset(self) -> QuerySet[JournalEntry]:
        """Entries about indexes and projects that the caller may read; of deleted projects, by the index alone."""
        who = who_of(self.request)
        rows = super().get_queryset()
        seen = Q(index__in=Index.objects.filter(readable_indexes(who)))
        limits = token_limits(who, "index_id", "normalized_name")
        whole = seen & (limits | Q(index__visibility=Visibility.PUBLIC.value)) if limits else seen
        if not who.project_ranks:
            return rows.filter(whole)
        named = Project.objects.filter(
            readable_projects(who), index_id=OuterRef("index_id"), normalized_name=OuterRef("normalized_name")
        )
        return rows.filter(whole | Q(Exists(named)))
