"""Comparing stored bytes with what their rows claim."""

import hashlib
from pathlib import Path

import pytest

from pkgindex.blobs import store
from pkgindex.blobs.check import Damage, damage_of
from tests.support import blobs

pytestmark = pytest.mark.django_db

DATA = b"0123456789" * 300_000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def path() -> Path:
    blobs.put(DATA)
    return Path(store.local_path(DIGEST))


def test_sound_bytes(path):
    """Nothing is found, and progress hears of every byte."""
    heard = []
    assert damage_of(DIGEST, len(DATA), rehash=True, progress=heard.append) is None
    assert sum(heard) == len(DATA)


def test_damage(path):
    """Missing, short and flipped bytes are told apart; a flipped one only by reading."""
    path.write_bytes(b"1" + DATA[1:])
    assert damage_of(DIGEST, len(DATA), rehash=True) is Damage.CORRUPT
    assert damage_of(DIGEST, len(DATA), rehash=False) is None
    path.write_bytes(DATA[:-1])
    assert damage_of(DIGEST, len(DATA), rehash=False) is Damage.WRONG_SIZE
    path.unlink()
    assert damage_of(DIGEST, len(DATA), rehash=True) is Damage.MISSING


def test_stored_files_can_be_read_by_a_web_server(path, tmp_path):
    """Blobs, written or moved in, are readable for a server that runs as another user, and writable for ours only."""
    source = tmp_path / "private"
    source.touch(mode=0o600)
    source.write_bytes(b"moved")
    digest = hashlib.sha256(b"moved").hexdigest()
    blobs.put(source)
    assert {Path(store.local_path(one)).stat().st_mode & 0o777 for one in (DIGEST, digest)} == {0o644}
