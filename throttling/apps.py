"""Registers the app with Django."""

from django.apps import AppConfig


class ThrottlingConfig(AppConfig):
    """Limits, their admin, their command, their checks."""

    name = "throttling"
    verbose_name = "Traffic limits"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks."""
        from throttling import checks  # noqa: F401, PLC0415 - registers itself, once apps are loaded
