"""Registers the catalog room with Django."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """The catalog room."""

    name = "pkgindex.catalog"
    label = "catalog"
