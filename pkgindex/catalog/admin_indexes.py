"""Indexes in the admin: created and changed through their services, deleted only when empty."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pkgindex.catalog.admin_actions import actor_in_admin
from pkgindex.catalog.index_services import change_index, create_index, delete_index
from pkgindex.catalog.models import Index, Project
from pkgindex.errors import InvalidRequest, ServiceError

RULES = (
    "allow_local_versions",
    "allow_linux_platform",
    "allow_direct_references",
    "allow_unknown_classifiers",
    "close_releases_after_days",
    "max_file_bytes",
)
MIRRORS = ("mirror_copies", "delivery", "mirror_policy")


class IndexForm(forms.ModelForm):
    """The settings of an index.

    Being the default one is no column here: a form would refuse a second one, and the service moves it.
    """

    default = forms.BooleanField(
        required=False, help_text="Served at /simple/ and /legacy/ too. Takes this place from the present one."
    )

    class Meta:
        model = Index
        fields = ("slug", "title", "visibility", *RULES, *MIRRORS)
        help_texts = {"slug": "Its place in addresses, /i/…/simple/. It cannot be changed later."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "default" in self.fields:  # not for who may only view
            self.fields["default"].initial = self.instance.is_default


class IndexAdmin(admin.ModelAdmin):
    """An index and its rules. The slug is chosen once: clients and lock files have it in their addresses."""

    form = IndexForm
    list_display = ("slug", "title", "visibility", "is_default", "last_serial")
    list_filter = ("visibility",)
    list_per_page = 100
    show_full_result_count = False
    ordering = ("slug",)
    search_fields = ("slug", "title")
    actions = None  # indexes are deleted one by one, and empty
    readonly_fields = ("created_at", "last_serial", "links")
    fieldsets = (
        (None, {"fields": ("slug", "title", "visibility", "default")}),
        (
            "What uploads may be",
            {"fields": RULES},
        ),
        ("Mirror nodes", {"fields": MIRRORS}),
        ("State", {"fields": ("created_at", "last_serial", "links")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Index | None = None) -> Any:
        """The slug too, once there is an index."""
        fixed = ("slug",) if obj else ()
        return (*super().get_readonly_fields(request, obj), *fixed)

    @admin.display(boolean=True)
    def default(self, row: Index) -> bool:
        """For who may only view."""
        return row.is_default

    @admin.display(description="See also")
    def links(self, row: Index) -> SafeString | str:
        """To the index's page and what it holds."""
        if row.pk is None:
            return "—"
        return format_html(
            '<a href="{}">Page for people</a> · <a href="{}?index__id__exact={}">Projects</a> · '
            '<a href="{}?index__id__exact={}">Journal</a>',
            reverse("home") if row.is_default else reverse("index-home", args=[row.slug]),
            reverse("admin:catalog_project_changelist"),
            row.pk,
            reverse("admin:catalog_journalentry_changelist"),
            row.pk,
        )

    def save_model(self, request: HttpRequest, obj: Index, form: forms.ModelForm, change: bool) -> None:
        """Through the services. What they refuse is answered by `changeform_view`."""
        actor = actor_in_admin(request)
        values = {"is_default": form.cleaned_data.get("default", False)} | form.cleaned_data
        values.pop("default", None)
        if change:
            change_index(actor, None, Index.objects.get(pk=obj.pk), **values)
        else:
            obj.pk = create_index(actor, None, **values).pk

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The form; a refusal by the service becomes a message and the form is shown anew."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ServiceError as error:
            self.message_user(request, error.sentence, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def get_deleted_objects(self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest) -> Any:  # noqa: ARG002
        """The index with a count for what goes along: collecting a journal of a million entries would take long."""
        rows = [f"Index: {row}, with its journal, its roles and the tokens limited to it" for row in objs]
        return rows, {"indexes": len(rows)}, set(), []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The confirmation; for an index that holds projects, a sentence instead."""
        row = self.get_object(request, object_id)
        try:
            if row is not None and self.has_delete_permission(request, row):
                _refuse_unless_empty(row)
            return super().delete_view(request, object_id, extra_context)
        except ServiceError as error:
            self.message_user(request, error.sentence, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:catalog_index_change", args=[object_id]))

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Through the service."""
        if isinstance(obj, Index):
            delete_index(actor_in_admin(request), None, obj)


def _refuse_unless_empty(row: Index) -> None:
    held = Project.objects.filter(index=row).count()
    if held:
        noun = "project" if held == 1 else "projects"
        raise InvalidRequest(f"The index '{row.slug}' still holds {held:,} {noun}; delete them first.")
