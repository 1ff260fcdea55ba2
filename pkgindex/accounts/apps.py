"""Registers the accounts room with Django."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The accounts room."""

    name = "pkgindex.accounts"
    label = "accounts"
