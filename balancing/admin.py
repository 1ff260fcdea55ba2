"""The admin: nodes with how they are and what can be done with them, copies, and what changed."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from balancing import listing, services, snapshot, stats, status
from balancing.models import Change, Node, Replica, ReplicaState
from balancing.replication import requests

HISTORY = 50


class ReadOnly(admin.ModelAdmin):
    """Rows that people only look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Nobody."""
        return False


class NodeList(ChangeList):
    """The list of nodes: what all rows need is asked for once."""

    def get_results(self, request: HttpRequest) -> None:
        """Give every row its health, lag and share."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        lags, served = stats.lag([row.pk for row in rows]), stats.served()
        for row in rows:
            row.lag, row.served = lags.get(row.pk, stats.Lag()), served.get(row.pk, stats.Served())
        self.result_list = rows


@admin.register(Node)
class NodeAdmin(admin.ModelAdmin):
    """Nodes. Every write goes through `services`, so that it is recorded and holds everywhere within a second."""

    list_display = ("name", "kind", "zone", "weight", "backup", "now", "behind", "share", "free", "last_error")
    list_filter = ("state", "kind", "zone")
    list_select_related = ("health",)
    search_fields = ("name", "zone", "url")
    actions = ("drain", "activate", "disable", "verify", "sync")
    readonly_fields = ("now", "behind", "share", "free", "last_error", "probes", "changes")
    fieldsets = (
        (None, {"fields": ("name", "kind", "url", "public_url", "zone")}),
        ("Share of traffic and copies", {"fields": ("weight", "max_conns", "capacity", "backup")}),
        ("For buckets", {"fields": ("bucket", "region", "prefix")}),
        ("How it is", {"fields": readonly_fields}),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        """Our own."""
        return NodeList

    def get_readonly_fields(self, request: HttpRequest, obj: Node | None = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        """A node's name never changes."""
        return (*self.readonly_fields, "name") if obj else tuple(self.readonly_fields)

    def get_fieldsets(self, request: HttpRequest, obj: Node | None = None) -> Any:  # noqa: ARG002 - Django's signature
        """A node that is being added is in no state yet."""
        return self.fieldsets if obj else self.fieldsets[:-1]

    @admin.display(description="now")
    def now(self, row: Node) -> str:
        """Its health in words."""
        return status.words(snapshot.view_now(row))

    @admin.display(description="behind by")
    def behind(self, row: Node) -> str:
        """Copies that are missing."""
        lag = row.lag if hasattr(row, "lag") else stats.lag([row.pk]).get(row.pk, stats.Lag())
        return status.lag_words(lag)

    @admin.display(description="share of the last hour")
    def share(self, row: Node) -> str:
        """Downloads and bytes."""
        found = row.served if hasattr(row, "served") else stats.served().get(row.pk, stats.Served())
        return f"{found.share:.1%} ({found.downloads} downloads, {status.size(found.bytes)})"

    @admin.display(description="free")
    def free(self, row: Node) -> str:
        """Free space, as the last probe heard."""
        health = getattr(row, "health", None)
        return status.size(health.free if health else None)

    @admin.display(description="last error")
    def last_error(self, row: Node) -> str:
        """With its time."""
        health = getattr(row, "health", None)
        return f"{_when(health.last_error_at)} {health.last_error}".strip() if health and health.last_error else "-"

    @admin.display(description=f"last {HISTORY} probes")
    def probes(self, row: Node) -> SafeString:
        """The latest first."""
        rows = row.probes.order_by("-id")[:HISTORY]
        lines = ((_when(one.at), "passed" if one.passed else "failed", one.seconds * 1000, one.detail) for one in rows)
        return _list("{} {} in {} ms {}", ((at, word, f"{ms:.1f}", detail) for at, word, ms, detail in lines))

    @admin.display(description=f"last {HISTORY} changes")
    def changes(self, row: Node) -> SafeString:
        """Who did what, the latest first."""
        rows = Change.objects.filter(target=row.pk)[:HISTORY]
        return _list("{} {}: {} {}", ((_when(one.at), one.actor, one.action, _difference(one)) for one in rows))

    @admin.action(description="Drain: give them nothing new", permissions=["change"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        """Before maintenance."""
        self._each(request, queryset, services.drain, "drained")

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        """After it."""
        self._each(request, queryset, services.activate, "activated")

    @admin.action(description="Disable: no downloads, no copies, no probes", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        """For long."""
        self._each(request, queryset, services.disable, "disabled")

    @admin.action(description="Verify: read all copies again", permissions=["change"])
    def verify(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        """In the background."""
        self._ask(request, queryset, requests.verify, "verified")

    @admin.action(description="Sync: compare and repair", permissions=["change"])
    def sync(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        """In the background."""
        self._ask(request, queryset, requests.sync, "synchronised")

    def save_model(self, request: HttpRequest, obj: Node, form: Any, change: bool) -> None:  # noqa: ARG002 - Django's signature
        """Add or change."""
        try:
            (services.save if change else services.add)(obj, actor_of(request))
        except (services.ServiceError, ValidationError) as error:  # somebody was quicker than this form
            text = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            messages.error(request, f"Nothing was saved. {text}")

    def delete_model(self, request: HttpRequest, obj: Node) -> None:
        """Delete one."""
        services.remove(obj, actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Node]) -> None:
        """Delete what was ticked."""
        for obj in queryset:
            services.remove(obj, actor_of(request))

    def get_deleted_objects(self, objs: Collection[Any], request: HttpRequest) -> Any:
        """The nodes and a word about their copies: Django's own page would list a million of them."""
        needed = set() if self.has_delete_permission(request) else {"node"}
        names = [str(obj) for obj in objs]
        text = "with its health, its probes and what is known of its copies"
        return [f"{name}, {text}" for name in names], {"nodes": len(names)}, needed, []

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Node], work: Callable[[str, str], bool], done: str
    ) -> None:
        changed = 0
        for name in queryset.values_list("pk", flat=True):
            try:
                changed += work(name, actor_of(request))
            except services.NodeNotFound as error:
                messages.warning(request, str(error))
        messages.success(request, f"{changed} nodes are {done}.")

    def _ask(self, request: HttpRequest, queryset: QuerySet[Node], work: Callable[[str], bool], done: str) -> None:
        names = list(queryset.values_list("pk", flat=True))
        taken = [name for name in names if work(name)]
        if len(taken) < len(names):
            messages.warning(request, "The broker does not take tasks now: try again when it does.")
        if taken:
            messages.success(request, f"{', '.join(taken)} will be {done} in the background.")


def _filters(request: HttpRequest) -> set[str]:
    return {key.partition("__")[0] for key in request.GET} & {"node", "state"}


class ReplicaList(ChangeList):
    """The list of copies, in an order that an index is in already."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Replica]) -> list[Any]:  # noqa: ARG002 - Django's signature
        """By the filters."""
        order = listing.order_of(_filters(request) | ({"digest"} if self.query else set()))
        return ["-id"] if order == ("id",) else list(order)


@admin.register(Replica)
class ReplicaAdmin(ReadOnly):
    """Copies, found by node, state and the beginning of the digest."""

    list_display = ("digest", "node_id", "state", "size", "attempts", "verified_at", "last_error")
    list_filter = ("node", "state")
    list_per_page = 100
    search_fields = ("digest",)
    search_help_text = "The beginning of a digest, 8 digits at least."
    paginator = listing.CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        """Our own."""
        return ReplicaList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Replica]:
        """With what leads to the index, where the filter is the state alone."""
        rows, state = super().get_queryset(request), request.GET.get("state__exact", "")
        alone = _filters(request) == {"state"} and state in ReplicaState.values
        return listing.in_one_state(rows, state) if alone else rows

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Replica],
        search_term: str,
    ) -> tuple[QuerySet[Replica], bool]:
        """By the beginning of the digest alone."""
        return (listing.starting_with(queryset, search_term) if search_term.strip() else queryset), False


@admin.register(Change)
class ChangeAdmin(ReadOnly):
    """What changed: read only."""

    list_display = ("at", "actor", "action", "target", "what")
    list_filter = ("action", "at")
    search_fields = ("actor", "target")

    @admin.display(description="what")
    def what(self, row: Change) -> str:
        """In a line."""
        return _difference(row)


def actor_of(request: Any) -> str:
    """Under which name a change is recorded."""
    return str(request.user.get_username())


def _difference(row: Change) -> str:
    names = [name for name in {**row.before, **row.after} if row.before.get(name) != row.after.get(name)]
    return ", ".join(f"{name}: {row.before.get(name, '-')} → {row.after.get(name, '-')}" for name in names)


def _when(moment: datetime | None) -> str:
    return localtime(moment).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _list(form: str, rows: Any) -> SafeString:
    lines = format_html_join("", f"<li>{form}</li>", rows)
    return format_html("<ul>{}</ul>", lines) if lines else format_html("{}", "none")
