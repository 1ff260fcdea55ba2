"""Registers the project itself, so that its management commands are found."""

from django.apps import AppConfig


class PkgindexConfig(AppConfig):
    """The project as an app; it has no models of its own."""

    name = "pkgindex"
    label = "pkgindex"
