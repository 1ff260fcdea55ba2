"""Registers the project itself, so that its management commands are found."""

from django.apps import AppConfig


class PkgindexConfig(AppConfig):
    """The project as an app; it has no models of its own."""

    name = "pkgindex"
    label = "pkgindex"

    def ready(self) -> None:
        """Register the system checks."""
        from pkgindex import checks  # noqa: F401, PLC0415 - importing it registers them
