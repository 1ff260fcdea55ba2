"""Registers the blobs room with Django."""

from django.apps import AppConfig


class BlobsConfig(AppConfig):
    """The blobs room."""

    name = "pkgindex.blobs"
    label = "blobs"
