"""Registers the app with Django."""

from django.apps import AppConfig


class BalancingConfig(AppConfig):
    """Nodes, their health and copies, their admin and commands."""

    name = "balancing"
    verbose_name = "mirror nodes"
    default_auto_field = "django.db.models.BigAutoField"
