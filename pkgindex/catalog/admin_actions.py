"""What the admin may do to the catalogue: each act on selected rows, confirmed on a page of its own.

The acts themselves are the catalogue's services, one row after another, each its own transaction: what fails is named
and the rest is done.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from pkgindex.accounts.models import User
from pkgindex.audit.record import Actor
from pkgindex.catalog.services import REASON_LENGTH
from pkgindex.clientip import client_ip
from pkgindex.errors import ServiceError

MOST_ROWS = 200  # one act's: each takes the journal once, and uploads wait for it
LISTED = 50
FAILURES_SHOWN = 5

Run = Callable[[Actor, Any, str], object]


class Reason(Enum):
    """Whether an act asks why."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Operation:
    """One act: `run` does it to one row; `consequence` says before what it will mean, `done` names it afterwards.

    `permission` is `manage` (Django's change permission) or `remove` (its delete permission).
    """

    name: str
    label: str
    done: str
    consequence: str
    run: Run
    permission: str = "manage"
    reason: Reason = Reason.NONE
    extent: Callable[[Sequence[Any]], str] | None = None


class ReasonForm(forms.Form):
    """Why. Shown to everyone who sees the project."""

    reason = forms.CharField(max_length=REASON_LENGTH, widget=forms.TextInput(attrs={"class": "vTextField"}))


class OperatedAdmin(admin.ModelAdmin):
    """Adds the two permissions that operations ask for, and offers the operations on a row's own page too."""

    operations: Sequence[Operation] = ()
    change_form_template = "admin/catalog/row.html"

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Yank, unyank and set a status: who has Django's change permission."""
        return self._may(request, "change")

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Delete: who has Django's delete permission."""
        return self._may(request, "delete")

    def _may(self, request: HttpRequest, verb: str) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actions = [_action(operation) for operation in self.operations]

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Ours alone: Django's own deletion knows no journal. `action_location` is Django 6.1's."""
        where = {} if action_location is None else {"action_location": action_location}
        found = super().get_actions(request, **where)
        found.pop("delete_selected", None)
        return found

    def allowed_operations(self, request: HttpRequest) -> list[Operation]:
        """The operations for which the user has the permission."""
        held = {"manage": self.has_manage_permission(request), "remove": self.has_remove_permission(request)}
        return [operation for operation in self.operations if held[operation.permission]]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The row with a button for each operation."""
        more = {"operations": self.allowed_operations(request), "checkbox": ACTION_CHECKBOX_NAME}
        return super().change_view(request, object_id, form_url, more | (extra_context or {}))


def actor_in_admin(request: HttpRequest) -> Actor:
    """The signed-in user as audit rows name them."""
    user = request.user
    return Actor(user.pk if isinstance(user, User) else None, user.get_username(), client_ip(request))


def _action(operation: Operation) -> Callable[[Any, HttpRequest, QuerySet[Any]], TemplateResponse | None]:
    def act(modeladmin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        rows = list(queryset[: MOST_ROWS + 1])
        if len(rows) > MOST_ROWS:
            modeladmin.message_user(request, f"Select at most {MOST_ROWS} at a time.", messages.ERROR)
            return None
        confirmed = request.POST.get("confirm") == operation.name
        form = _form(operation, request.POST if confirmed else None)
        if not confirmed or not form.is_valid():
            return _confirmation(modeladmin, request, operation, rows, form)
        _run(modeladmin, request, operation, rows, form.cleaned_data.get("reason", ""))
        return None

    act.__name__ = operation.name
    return admin.action(permissions=[operation.permission], description=operation.label)(act)


def _form(operation: Operation, data: Any) -> forms.Form:
    if operation.reason is Reason.NONE:
        return forms.Form(data)
    form = ReasonForm(data)
    form.fields["reason"].required = operation.reason is Reason.REQUIRED
    return form


def _confirmation(
    modeladmin: Any, request: HttpRequest, operation: Operation, rows: Sequence[Model], form: forms.Form
) -> TemplateResponse:
    context = modeladmin.admin_site.each_context(request) | {
        "title": f"{operation.label}?",
        "opts": modeladmin.opts,
        "media": modeladmin.media,
        "operation": operation,
        "rows": rows,
        "listed": rows[:LISTED],
        "unlisted": max(0, len(rows) - LISTED),
        "extent": operation.extent(rows) if operation.extent else "",
        "form": form,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/catalog/confirm.html", context)


def _run(modeladmin: Any, request: HttpRequest, operation: Operation, rows: Iterable[Any], reason: str) -> None:
    actor = actor_in_admin(request)
    done, unchanged, failures = 0, 0, []
    for row in rows:
        try:
            serial = operation.run(actor, row, reason)
        except ServiceError as error:
            failures.append(f"{row}: {error.sentence}")
        else:
            done, unchanged = (done, unchanged + 1) if serial is None else (done + 1, unchanged)
    opts = modeladmin.opts
    if done:
        noun = opts.verbose_name if done == 1 else opts.verbose_name_plural
        modeladmin.message_user(request, f"{done} {noun} {operation.done}.", messages.SUCCESS)
    if unchanged:
        modeladmin.message_user(request, f"{unchanged} needed no change.", messages.INFO)
    for failure in failures[:FAILURES_SHOWN]:
        modeladmin.message_user(request, failure, messages.ERROR)
    if len(failures) > FAILURES_SHOWN:
        more = len(failures) - FAILURES_SHOWN
        modeladmin.message_user(request, f"{more} more failed for reasons of the same kind.", messages.ERROR)
