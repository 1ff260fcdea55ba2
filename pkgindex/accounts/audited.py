"""The base of admin pages that write: Django's own log is for the page, ours is the record."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from pkgindex.accounts.models import User
from pkgindex.audit.record import Actor, record
from pkgindex.clientip import client_ip


def admin_actor(request: HttpRequest) -> Actor:
    """The signed-in member of staff, as audit rows name them."""
    user = request.user
    return Actor(user.pk, f"{user.get_username()} in the admin", client_ip(request))


def is_superuser(request: HttpRequest) -> bool:
    """True for a caller whom Django's permissions do not bind."""
    return isinstance(request.user, User) and request.user.is_superuser


class AuditedAdmin(admin.ModelAdmin):
    """Every add, change and delete of the stock pages leaves an audit row in the same transaction."""

    show_full_result_count = False

    def log_addition(self, request: HttpRequest, object: Any, message: Any) -> Any:  # noqa: A002 - Django's name
        """Called by Django inside the transaction of an add."""
        self.note(request, "create", object)
        return super().log_addition(request, object, message)

    def log_change(self, request: HttpRequest, object: Any, message: Any) -> Any:  # noqa: A002 - Django's name
        """Called by Django inside the transaction of a change."""
        self.note(request, "change", object, fields=_changed(message))
        return super().log_change(request, object, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Called by Django inside the transaction of a deletion, before the rows go."""
        rows: Iterable[Model] = list(queryset)
        for row in rows:
            self.note(request, "delete", row)
        return super().log_deletions(request, queryset)

    def note(self, request: HttpRequest, verb: str, row: Model, **detail: Any) -> None:
        """Write the audit row; pages that know more override it."""
        kind = str(row._meta.verbose_name)  # noqa: SLF001 - Django's documented Meta API
        record(admin_actor(request), f"{verb} {kind}", kind, str(row), **detail)


def _changed(message: Any) -> list[str]:
    """The names of changed fields in Django's log message; values stay out, one may be a password's hash."""
    if not isinstance(message, list):
        return []
    return [name for part in message for name in part.get("changed", {}).get("fields", [])]
