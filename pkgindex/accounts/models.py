"""People, their tokens and their roles."""

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser, Group
from django.db import models
from django.db.models import Q

from pkgindex.accounts.roles import Rank, Scope


class User(AbstractUser):
    """A person or a machine account; ours from the first migration, so that it can grow."""


class Token(models.Model):
    """A bearer secret of a user. Only its SHA-256 is kept: the secret has 256 random bits, so no slow hash is needed.

    Rows are never deleted by revoking: a revoked token can then say that it was revoked.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100, help_text="What it is for, such as `ci of the web team`.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False, help_text="The first characters, to recognise it by.")
    scopes = models.JSONField(default=list, help_text="Any of read, upload, manage, admin.")
    index = models.ForeignKey(
        "catalog.Index", null=True, blank=True, on_delete=models.CASCADE, help_text="Empty: every index."
    )
    project_patterns = models.JSONField(
        default=list, blank=True, help_text="Normalised names with * as wildcard; empty: every project."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    def get_scopes(self) -> frozenset[Scope]:
        """The scopes as values."""
        return frozenset(Scope(scope) for scope in self.scopes)


class Role(models.Model):
    """A rank of one user or one group on one index or one project."""

    RANKS: ClassVar = [(rank.value, rank.value) for rank in Rank]

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="roles"
    )
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="roles")
    index = models.ForeignKey("catalog.Index", null=True, blank=True, on_delete=models.CASCADE, related_name="roles")
    project = models.ForeignKey(
        "catalog.Project", null=True, blank=True, on_delete=models.CASCADE, related_name="roles"
    )
    rank = models.CharField(max_length=20, choices=RANKS)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="role_one_holder",
                condition=Q(user__isnull=False, group__isnull=True) | Q(user__isnull=True, group__isnull=False),
            ),
            models.CheckConstraint(
                name="role_one_object",
                condition=Q(index__isnull=False, project__isnull=True) | Q(index__isnull=True, project__isnull=False),
            ),
            models.UniqueConstraint(
                name="role_user_index", fields=["user", "index"], condition=Q(user__isnull=False, index__isnull=False)
            ),
            models.UniqueConstraint(
                name="role_user_project",
                fields=["user", "project"],
                condition=Q(user__isnull=False, project__isnull=False),
            ),
            models.UniqueConstraint(
                name="role_group_index",
                fields=["group", "index"],
                condition=Q(group__isnull=False, index__isnull=False),
            ),
            models.UniqueConstraint(
                name="role_group_project",
                fields=["group", "project"],
                condition=Q(group__isnull=False, project__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user or self.group} is {self.rank} of {self.index or self.project}"
