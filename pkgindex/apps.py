"""Registers the project itself, so that its management commands are found."""

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import import_string


class PkgindexConfig(AppConfig):
    """The project as an app; it has no models of its own."""

    name = "pkgindex"
    label = "pkgindex"

    def ready(self) -> None:
        """Register the system checks, audit changes of limits, and hear of files that come and go."""
        from pkgindex import checks, limit_changes, storage  # noqa: F401, PLC0415 - importing them connects them

        limit_changes.connect()
        import_string(settings.BALANCING["SOURCE"])
