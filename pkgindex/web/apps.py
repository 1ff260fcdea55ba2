"""Registers the web room with Django."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """The web room."""

    name = "pkgindex.web"
    label = "web"
