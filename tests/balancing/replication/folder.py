"""A source in a folder, which every process of a test sees: a file named by its digest is wanted."""

import json
import os
import re
from hashlib import sha256
from pathlib import Path

from balancing.source import ALL, Wanted


class FolderSource:
    """`copies.json` beside the files says how many copies of which digest; otherwise one on every node."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def add(self, content):
        digest = sha256(content).hexdigest()
        partial = self.folder / f"{digest}.new"
        partial.write_bytes(content)
        partial.replace(self.folder / digest)
        return digest

    def remove(self, digest):
        (self.folder / digest).unlink()

    def limit(self, copies):
        (self.folder / "copies.json").write_text(json.dumps(copies))

    def wanted(self, digests):
        found = (self._wanted(digest) for digest in digests)
        return {one.digest: one for one in found if one}

    def _wanted(self, digest):
        try:
            size = (self.folder / digest).stat().st_size
        except FileNotFoundError:
            return None
        return Wanted(digest, size, self._copies().get(digest, ALL))

    def every(self, after=""):
        for name in sorted(path.name for path in self.folder.iterdir()):
            if re.fullmatch("[0-9a-f]{64}", name) and name > after:
                found = self._wanted(name)
                if found:
                    yield found

    def open(self, digest):
        return (self.folder / digest).open("rb")

    def _copies(self):
        try:
            return json.loads((self.folder / "copies.json").read_text())
        except FileNotFoundError:
            return {}


def source():
    return FolderSource(os.environ["REPLICATION_FOLDER"])
