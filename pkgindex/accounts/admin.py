"""Users, groups and roles in the admin; tokens have a file of their own.

Members of staff who are no superusers are bound by Django's model permissions, and cannot use these to reach further:
neither powers nor the accounts of superusers are theirs to change.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest

from pkgindex.accounts.audited import AuditedAdmin, admin_actor, is_superuser
from pkgindex.accounts.grants import note_role
from pkgindex.accounts.identity import forget_user
from pkgindex.accounts.models import Role, Token, User
from pkgindex.accounts.token_admin import TokenAdmin

__all__ = ["GroupAdmin", "RoleAdmin", "TokenAdmin", "UserAdmin"]

POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):
    """People and machine accounts."""

    list_per_page = 100

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Powers are given by superusers."""
        fields = super().get_readonly_fields(request, obj)
        return fields if is_superuser(request) else [*fields, *POWERS]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A superuser's account, its password included, is for superusers to change."""
        return super().has_change_permission(request, obj) and self._within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Likewise; and nobody deletes their own account."""
        own = obj is not None and obj.pk == request.user.pk
        return not own and super().has_delete_permission(request, obj) and self._within_reach(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Tokens and roles go with their user: whoever may delete the user needs no permission for those."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        own = {str(model._meta.verbose_name) for model in (Token, Role)}  # noqa: SLF001 - Django's documented Meta API
        return found, counts, set(lacking) - own, protected

    def note(self, request: HttpRequest, verb: str, row: Model, **detail: Any) -> None:
        """Let a changed password or a deactivated account hold at once here, and within seconds elsewhere."""
        super().note(request, verb, row, **detail)
        if isinstance(row, User):
            forget_user(row.pk, row.username)

    def _within_reach(self, request: HttpRequest, user: Any) -> bool:
        return is_superuser(request) or not (isinstance(user, User) and user.is_superuser)


class GroupForm(forms.ModelForm):
    """A group with its members beside its permissions."""

    members = forms.ModelMultipleChoiceField(
        User.objects.all(), required=False, widget=FilteredSelectMultiple("members", is_stacked=False)
    )

    class Meta:
        model = Group
        fields = ["name", "members", "permissions"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "members" in self.fields:
            self.fields["members"].initial = self.instance.user_set.all()


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    """Teams: roles and permissions that members share."""

    form = GroupForm
    list_display = ("name", "member_count")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """With the number of members."""
        return super().get_queryset(request).annotate(members_held=Count("user"))

    @admin.display(description="members", ordering="members_held")
    def member_count(self, group: Any) -> int:
        """How many belong to it."""
        return int(group.members_held)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Permissions are given by superusers."""
        fields = super().get_readonly_fields(request, obj)
        return fields if is_superuser(request) else [*fields, "permissions"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A group that carries permissions is for superusers: joining it would give them."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (is_superuser(request) or not (obj and obj.permissions.exists()))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The members are a relation of the other side."""
        super().save_related(request, form, formsets, change)
        if "members" in form.cleaned_data:
            form.instance.user_set.set(form.cleaned_data["members"])


@admin.register(Role)
class RoleAdmin(AuditedAdmin):
    """Ranks of people and groups on indexes and projects."""

    list_display = ("holder", "rank", "place", "created_at")
    list_filter = ("rank", "index")
    list_select_related = ("user", "group", "index", "project__index")
    search_fields = ["user__username", "group__name", "index__slug", "project__normalized_name"]
    autocomplete_fields = ["user", "group", "index", "project"]
    list_per_page = 100

    @admin.display(description="user or group")
    def holder(self, role: Role) -> str:
        """Who has it."""
        return str(role.user) if role.user else f"group {role.group}"

    @admin.display(description="index or project")
    def place(self, role: Role) -> str:
        """Where it holds."""
        return f"{role.project.index} / {role.project}" if role.project else str(role.index)

    def note(self, request: HttpRequest, verb: str, row: Model, **detail: Any) -> None:  # noqa: ARG002 - the base's
        """The same audit rows as the services write."""
        action = {"create": "grant", "change": "change", "delete": "revoke"}[verb]
        if isinstance(row, Role):
            note_role(admin_actor(request), f"{action} role", row)
