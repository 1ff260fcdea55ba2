"""Tokens in the admin: issued through the service, shown once, revoked with confirmation, never edited or deleted."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_variables

from pkgindex.accounts import services
from pkgindex.accounts.audited import AuditedAdmin, admin_actor, is_superuser
from pkgindex.accounts.models import Token, User
from pkgindex.accounts.roles import Scope
from pkgindex.accounts.visibility import readable_indexes
from pkgindex.accounts.whois import who_of_user
from pkgindex.errors import ServiceError

MOST_AT_ONCE = 500  # tokens revoked by one action


class IssueForm(forms.ModelForm):
    """What the new token may do."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, scope.value) for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.READ.value],
    )
    project_patterns = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One normalised name a line, with * as wildcard; empty: every project.",
    )

    class Meta:
        model = Token
        fields = ["user", "name", "scopes", "index", "project_patterns", "expires_at"]

    def clean_project_patterns(self) -> list[str]:
        """The lines as a list."""
        return str(self.cleaned_data["project_patterns"]).split()


@admin.register(Token)
class TokenAdmin(AuditedAdmin):
    """Bearer secrets: the rows say everything but the secret, which nobody knows after it was issued."""

    list_display = ("name", "hint", "user", "scopes", "index", "created_at", "expires_at", "revoked_at", "last_used_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), ("expires_at", admin.DateFieldListFilter), "index")
    list_select_related = ("user", "index")
    search_fields = ["name", "hint", "user__username"]
    autocomplete_fields = ["user"]
    list_per_page = 100
    fields = [
        "user",
        "name",
        "hint",
        "scopes",
        "index",
        "project_patterns",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    ]
    actions = ["revoke"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - the base's
        """Never: other limits are another token."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only together with what it belongs to: a deleted token could not say that it was revoked."""
        match = request.resolver_match
        own_page = match is not None and str(match.url_name).startswith("accounts_token_")
        return not own_page and super().has_delete_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may view or revoke them."""
        return super().has_view_permission(request, obj) or self.has_revoke_permission(request)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Django's permission to change tokens."""
        return super().has_change_permission(request)

    @method_decorator([never_cache, csrf_protect])
    @sensitive_variables("secret")
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        """The form; the answer to a valid one is the only page that shows the secret."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = self._form(request)
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            # Issuing for others is for superusers, whatever Django's permissions: it would be acting in their name.
            who = None if is_superuser(request) else who_of_user(_signed_in(request))
            try:
                token, secret = services.issue(admin_actor(request), who, **given)
            except ServiceError as error:
                form.add_error(None, error.sentence)
            else:
                return self._page(request, "issued", "Token issued", token=token, secret=secret)
        return self._page(request, "issue", "Issue a token", form=form, media=self.media + form.media)

    @admin.action(description="Revoke selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> HttpResponse | None:
        """Asks first, then revokes."""
        chosen = list(queryset.filter(revoked_at=None).select_related("user")[:MOST_AT_ONCE])
        if request.POST.get("confirmed") != "yes":
            return self._page(
                request, "revoke", "Revoke tokens", tokens=chosen, checkbox=ACTION_CHECKBOX_NAME, action="revoke"
            )
        done = sum(services.revoke(admin_actor(request), None, token) for token in chosen)
        self.message_user(request, f"{done} tokens were revoked.", messages.SUCCESS)
        return None

    def _form(self, request: HttpRequest) -> IssueForm:
        form = IssueForm(request.POST if request.method == "POST" else None, initial={"user": request.user.pk})
        if not is_superuser(request):
            me = _signed_in(request)
            _narrow(form, "user", Q(pk=me.pk))
            _narrow(form, "index", readable_indexes(who_of_user(me)))
        return form

    def _page(self, request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
        context |= self.admin_site.each_context(request) | {"title": title, "opts": self.opts}
        response = TemplateResponse(request, f"admin/accounts/token/{name}.html", context)
        response["Cache-Control"] = "no-store"
        return response


def _narrow(form: IssueForm, name: str, within: Q) -> None:
    field = form.fields[name]
    if isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
        field.queryset = field.queryset.filter(within)


def _signed_in(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
