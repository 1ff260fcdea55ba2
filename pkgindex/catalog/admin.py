"""The catalogue in the admin: what there is, to be found and read, with the acts that the services allow.

No row of the catalogue is added or edited by a form: that would leave pages, journal and audit behind.
"""

import re
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from pkgindex.audit.admin import ReadOnlyAdmin
from pkgindex.catalog.admin_actions import OperatedAdmin
from pkgindex.catalog.admin_indexes import IndexAdmin
from pkgindex.catalog.admin_operations import FILE_OPERATIONS, PROJECT_OPERATIONS, RELEASE_OPERATIONS
from pkgindex.catalog.models import File, Index, JournalEntry, Project, Release, RetiredFilename
from pkgindex.catalog.names import normalize

admin.site.site_header = "pkgindex administration"
admin.site.site_title = "pkgindex administration"
admin.site.index_title = "Administration"
admin.site.register(Index, IndexAdmin)

_SHA256 = re.compile(r"[0-9a-f]{64}")


def _link(text: str, view: str, *args: object, **query: str | int) -> SafeString:
    address = reverse(f"admin:{view}", args=args) + (f"?{urlencode(query)}" if query else "")
    return format_html('<a href="{}">{}</a>', address, text)


class Rows(OperatedAdmin, ReadOnlyAdmin):
    """Rows of the catalogue: read-only forms, and operations. `filtered` names what links from elsewhere filter by."""

    filtered: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Also what our own links filter by, without a filter at the side that would list every row."""
        return lookup in self.filtered or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type] # stubs want a request


class YankableRows(Rows):
    """Rows whose yank is said in words: a green tick would praise it."""

    @admin.display(description="state", empty_value="")
    def state(self, row: Release | File) -> str:
        """`yanked` with the reason, or nothing."""
        return ": ".join(part for part in ("yanked", row.yanked_reason) if part) if row.yanked else ""


@admin.register(Project)
class ProjectAdmin(Rows):
    """Projects, found by the beginning of their name in any spelling."""

    operations = PROJECT_OPERATIONS
    list_display = ("name", "index", "status", "status_reason", "created_at", "last_serial")
    list_filter = ("status", "index")
    list_select_related = ("index",)
    ordering = ("normalized_name", "id")
    sortable_by = ("name",)
    search_fields = ("normalized_name",)
    search_help_text = "The beginning of a name."
    fields = ("index", "name", "normalized_name", "status", "status_reason", "created_at", "last_serial", "links")
    readonly_fields = ("links",)

    def search(self, rows: QuerySet[Project], term: str) -> QuerySet[Project]:
        """By name."""
        return rows.filter(normalized_name__startswith=normalize(term))

    @admin.display(description="See also")
    def links(self, row: Project) -> SafeString:
        """To the project's page, releases, files and journal."""
        by_project: dict[str, str | int] = {
            "index__id__exact": row.index_id,
            "normalized_name__exact": row.normalized_name,
        }
        page = (
            reverse("project", args=[row.normalized_name])
            if row.index.is_default
            else reverse("index-project", args=[row.index.slug, row.normalized_name])
        )
        return format_html(
            '<a href="{}">Page for people</a> · {} · {} · {}',
            page,
            _link("Releases", "catalog_release_changelist", project__id__exact=row.pk),
            _link("Files", "catalog_file_changelist", release__project__id__exact=row.pk),
            _link("Journal", "catalog_journalentry_changelist", **by_project),
        )


@admin.register(Release)
class ReleaseAdmin(YankableRows):
    """Releases, found by project and, after a space, version."""

    operations = RELEASE_OPERATIONS
    list_display = ("version", "project_link", "index", "state", "created_at")
    list_filter = ("yanked", "project__index")
    filtered = ("project__id__exact",)
    ordering = ("-id",)
    sortable_by = ("created_at",)
    search_fields = ("version",)
    search_help_text = "The beginning of a project's name and, after a space, of a version."
    fields = (
        "project_link",
        "index",
        "version",
        "yanked",
        "yanked_reason",
        "summary",
        "requires_python",
        "metadata",
        "created_at",
        "links",
    )
    readonly_fields = ("project_link", "index", "links")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Release]:
        """With the project at hand, and without the texts that can be megabytes."""
        return super().get_queryset(request).select_related("project__index").defer("metadata", "description")

    def search(self, rows: QuerySet[Release], term: str) -> QuerySet[Release]:
        """By project and version."""
        name, _, version = term.partition(" ")
        projects = Project.objects.filter(normalized_name__startswith=normalize(name))
        return rows.filter(project__in=projects, version__startswith=version.strip())

    @admin.display(description="project", ordering="project__normalized_name")
    def project_link(self, row: Release) -> SafeString:
        """The project."""
        return _link(row.project.name, "catalog_project_change", row.project_id)

    @admin.display(description="index")
    def index(self, row: Release) -> str:
        """The index."""
        return row.project.index.slug

    @admin.display(description="See also")
    def links(self, row: Release) -> SafeString:
        """To its files."""
        return _link("Files", "catalog_file_changelist", release__id__exact=row.pk)


@admin.register(File)
class FileAdmin(YankableRows):
    """Files, found by the beginning of their name or by the whole sha256."""

    operations = FILE_OPERATIONS
    list_display = ("filename", "release_link", "index", "bytes", "state", "uploaded_at", "uploaded_by")
    list_filter = ("packagetype", "yanked", "index", ("uploaded_at", admin.DateFieldListFilter))
    filtered = ("release__id__exact", "release__project__id__exact")
    ordering = ("-id",)
    sortable_by = ("filename", "uploaded_at")
    search_fields = ("filename",)
    search_help_text = "The beginning of a file's name, or a whole sha256."
    fields = (
        "index",
        "release_link",
        "filename",
        "packagetype",
        "python_version",
        "requires_python",
        "bytes",
        "sha256",
        "md5",
        "blake2b",
        "yanked",
        "yanked_reason",
        "uploaded_at",
        "uploaded_by",
        "download",
    )
    readonly_fields = ("release_link", "bytes", "sha256", "download")

    def get_queryset(self, request: HttpRequest) -> QuerySet[File]:
        """With what the columns name at hand, and without the release's long texts."""
        rows = super().get_queryset(request).select_related("index", "release__project__index", "uploaded_by")
        return rows.defer("release__metadata", "release__description")

    def search(self, rows: QuerySet[File], term: str) -> QuerySet[File]:
        """By name or digest."""
        if _SHA256.fullmatch(term.lower()):
            return rows.filter(blob_id=term.lower())
        return rows.filter(filename__startswith=term)

    @admin.display(description="release")
    def release_link(self, row: File) -> SafeString:
        """The project and the version, each a link."""
        return format_html(
            "{} {}",
            _link(row.release.project.name, "catalog_project_change", row.release.project_id),
            _link(row.release.version, "catalog_release_change", row.release_id),
        )

    @admin.display(description="size", ordering="size")
    def bytes(self, row: File) -> str:
        """The size for people."""
        return str(filesizeformat(row.size))

    @admin.display(description="sha256")
    def sha256(self, row: File) -> str:
        """The digest."""
        return row.blob_id

    @admin.display(description="download")
    def download(self, row: File) -> SafeString:
        """The address that pages give."""
        digest = row.blob_id
        home = reverse("home")
        address = f"{home}packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{row.filename}"
        return format_html('<a href="{}">{}</a>', address, address)


@admin.register(RetiredFilename)
class RetiredFilenameAdmin(ReadOnlyAdmin):
    """Names of deleted files."""

    list_display = ("filename", "index", "sha256", "retired_at")
    list_filter = ("index",)
    list_select_related = ("index",)
    ordering = ("-id",)
    sortable_by = ("filename",)
    search_fields = ("filename",)
    search_help_text = "The beginning of a file's name."

    def search(self, rows: QuerySet[RetiredFilename], term: str) -> QuerySet[RetiredFilename]:
        """By name."""
        return rows.filter(filename__startswith=term)


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    """Every change that clients could see, newest first."""

    list_display = ("serial", "at", "action", "project_name", "version", "filename", "index", "actor_label")
    list_filter = ("index",)
    list_select_related = ("index",)
    ordering = ("-serial",)
    sortable_by = ("serial",)
    search_fields = ("normalized_name",)
    search_help_text = "A whole project name or a serial."

    def search(self, rows: QuerySet[JournalEntry], term: str) -> QuerySet[JournalEntry]:
        """By project within each index, so that the table's index serves; digits are also a serial."""
        indexes = Index.objects.values_list("pk", flat=True)
        found = rows.filter(index__in=list(indexes), normalized_name=normalize(term))
        if term.isascii() and term.isdigit() and len(term) < 19:
            found |= rows.filter(serial=int(term))
        return found
