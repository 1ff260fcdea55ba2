"""The admin: plans with their limits and live usage, who has them, exemptions, bans to lift, and what changed."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.html import format_html_join

from throttling import bans, callers, named, services, stats, usage
from throttling.models import Assignment, Ban, Change, Exemption, Limit, Plan


class Recorded(admin.ModelAdmin):
    """Every write goes through `services`, so that it is recorded and in force everywhere."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:  # noqa: ARG002 - Django's signature
        """Add or change."""
        services.save(obj, actor=callers.actor_for(request), check=False)  # the form has checked it

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete one."""
        services.remove(obj, actor=callers.actor_for(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete what was ticked."""
        for obj in queryset:
            services.remove(obj, actor=callers.actor_for(request))

    def save_formset(self, request: HttpRequest, form: Any, formset: BaseInlineFormSet, change: bool) -> None:  # noqa: ARG002 - Django's signature
        """Rows within the page of another row."""
        rows = formset.save(commit=False)
        for row in formset.deleted_objects:
            services.remove(row, actor=callers.actor_for(request))
        for row in rows:
            services.save(row, actor=callers.actor_for(request), check=False)
        formset.save_m2m()


class NamedList(ChangeList):
    """A list whose subjects are shown with their names, asked for once a page."""

    def get_results(self, request: HttpRequest) -> None:
        """The page's rows, each with its label."""
        super().get_results(request)
        rows = list(self.result_list)
        known = named.labels(row.subject for row in rows)
        for row in rows:
            row.label = known[row.subject]
        self.result_list = rows


class Named(Recorded):
    """For rows of subjects."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        """The list with names."""
        return NamedList

    @admin.display(description="subject", ordering="subject")
    def who(self, row: Any) -> str:
        """The subject, with the name of the user, group or token."""
        return str(getattr(row, "label", row.subject))


class LimitInline(admin.TabularInline):
    """The limits on their plan's page."""

    model = Limit
    extra = 1
    readonly_fields = ("refusals",)

    @admin.display(description="refused / would have refused")
    def refusals(self, row: Limit) -> str:
        """How often, on all hosts."""
        if not row.pk:
            return ""
        real, shadow = stats.counted(str(row.pk))
        return f"{real} / {shadow}"


class AssignmentInline(admin.TabularInline):
    """Who has the plan, on its page."""

    model = Assignment
    extra = 0


@admin.register(Plan)
class PlanAdmin(Recorded):
    """Plans."""

    list_display = ("name", "description", "limit_list")
    search_fields = ("name", "description")
    inlines = (LimitInline, AssignmentInline)

    @admin.display(description="limits")
    def limit_list(self, row: Plan) -> str:
        """Every limit in a word."""
        return format_html_join(", ", "{}: {}", ((limit.name, limit.rate) for limit in row.limits.all()))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        """With the limits, in one more query."""
        return super().get_queryset(request).prefetch_related("limits")


@admin.register(Assignment)
class AssignmentAdmin(Named):
    """Who has which plan, how much of it they use, and a fresh start for them."""

    list_display = ("who", "plan", "order", "note", "live_usage")
    list_filter = ("plan",)
    list_per_page = 25  # each row asks the store how it stands
    search_fields = ("subject", "note")
    readonly_fields = ("live_usage",)
    actions = ("reset_usage",)

    @admin.display(description="usage now")
    def live_usage(self, row: Assignment) -> str:
        """How the subject's own buckets stand; of groups and networks only the shared ones are theirs."""
        if not row.pk:
            return ""
        rows = ((line.name, line.used, line.quota) for line in usage.of_assignment(row.subject, row.plan.name))
        return format_html_join(", ", "{}: {} of {}", rows) or "-"

    @admin.action(description="Reset the usage and lift the bans of the selected subjects", permissions=["change"])
    def reset_usage(self, request: HttpRequest, queryset: QuerySet[Assignment]) -> None:
        """Forget what they have used."""
        for row in queryset:
            services.reset(row.subject, actor=callers.actor_for(request))
        messages.success(request, f"{len(queryset)} subjects start afresh.")


@admin.register(Exemption)
class ExemptionAdmin(Named):
    """The allow list."""

    list_display = ("who", "scopes", "expires_at", "note")
    search_fields = ("subject", "note")


@admin.register(Ban)
class BanAdmin(Named):
    """Bans that run and that are over."""

    list_display = ("who", "reason", "began_at", "until", "automatic", "state", "lifted_by")
    list_filter = ("automatic", "began_at")
    list_per_page = 50
    search_fields = ("subject", "reason")
    readonly_fields = ("automatic", "lifted_at", "lifted_by")
    actions = ("lift",)

    @admin.display(description="now")
    def state(self, row: Ban) -> str:
        """Lifted, over, or the seconds left with what attempts have added."""
        if row.lifted_at:
            return "lifted"
        found = bans.running([row])
        return f"in force, {max(found[0][1], bans.seconds_left(row)):.0f} s left" if found else "over"

    @admin.action(description="Lift the selected bans", permissions=["change"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Ban]) -> None:
        """End them everywhere."""
        for subject in sorted({row.subject for row in queryset}):
            services.lift(subject, actor=callers.actor_for(request))
        messages.success(request, "The bans are lifted.")


@admin.register(Change)
class ChangeAdmin(admin.ModelAdmin):
    """What changed: read only."""

    list_display = ("at", "actor", "action", "target")
    list_filter = ("action", "at")
    search_fields = ("actor", "target")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody writes history."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody changes history."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody removes history."""
        return False
