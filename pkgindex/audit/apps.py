"""Registers the audit room with Django."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The audit room."""

    name = "pkgindex.audit"
    label = "audit"
