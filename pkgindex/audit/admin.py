"""The audit trail in the admin, to be read and searched, and the base of every page that only shows rows."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from pkgindex.audit.models import AuditEntry


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that are shown and never added, edited or deleted by a form; whoever may view or change them sees them.

    No page counts a whole table twice or runs more queries for more rows. Searching is by `search`, which reads
    through an index of the table or looks at one short column.
    """

    list_per_page = 100
    list_max_show_all = 100
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - the base class's signature
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Never by a form."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Never by Django's own pages."""
        return False

    def search(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        """The rows that `term` finds; it is not empty and printable."""
        raise NotImplementedError

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Django's hook; no search of ours finds a row twice."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return (self.search(queryset, term) if term.isprintable() else queryset.none()), False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what. A hierarchy of dates would read the whole table on each visit: the filter by date does not."""

    list_display = ("at", "actor_label", "action", "target_type", "target", "ip")
    list_display_links = ("at", "action")
    list_filter = (("at", admin.DateFieldListFilter),)
    ordering = ("-id",)
    sortable_by: ClassVar[tuple[str, ...]] = ("at",)
    search_fields = ("target",)
    search_help_text = "The beginning of a target, such as main/acme, or a whole action or actor."
    fields = ("at", "actor", "actor_label", "ip", "action", "target_type", "target", "detail")

    def search(self, rows: QuerySet[AuditEntry], term: str) -> QuerySet[AuditEntry]:
        """By target, action or actor."""
        return rows.filter(target__startswith=term) | rows.filter(action=term) | rows.filter(actor_label=term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """With the actor at hand for the page of one row."""
        return super().get_queryset(request).select_related("actor")
