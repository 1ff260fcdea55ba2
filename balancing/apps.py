"""Registers the app with Django."""

from django.apps import AppConfig


class BalancingConfig(AppConfig):
    """Nodes, their health and copies, their admin, commands and checks."""

    name = "balancing"
    verbose_name = "mirror nodes"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks, and hear of doubts."""
        from balancing import checks  # noqa: F401, PLC0415 - registers itself, once apps are loaded
        from balancing.replication import requests  # noqa: F401, PLC0415 - the same
