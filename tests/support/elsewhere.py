"""A storage whose files have no path on this machine, as a bucket's have none."""

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage


class Elsewhere(Storage):
    """Opens what lies in a folder, and has no `path` for it (Django's own Storage says so)."""

    def __init__(self, location: str) -> None:
        self._folder = FileSystemStorage(location)

    def _open(self, name: str, mode: str = "rb") -> File:
        return self._folder.open(name, mode)
