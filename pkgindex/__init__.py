"""A private Python package index for one organisation."""

from pkgindex.celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "0.1.0"
