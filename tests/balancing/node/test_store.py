"""The node's files: whole or absent, what their names say, found again in pages."""

import io
import os
import random
from hashlib import sha256
from pathlib import Path

import pytest

from balancing.node.store import PROBE, DiskFull, Incomplete, Mismatch, NoSuchFile, Store

DATA = b"some wheel" * 1000
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "files")


def put(store, data):
    digest = sha256(data).hexdigest()
    store.put(digest, len(data), io.BytesIO(data))
    return digest


def read(store, digest):
    file, size = store.open(digest)
    with file:
        data = file.read()
    assert len(data) == size
    return data


def nothing_is_left(store):
    return not [path for path in store.root.rglob("*") if path.is_file() and path.name != "probe"]


@pytest.mark.parametrize("data", [b"", b"x", DATA, random.Random(1).randbytes((1 << 20) + 1)], ids=len)
def test_what_is_put_is_read(store, data):
    """Files of any size come back as they were, also after being put twice, and leave nothing unfinished."""
    digest = put(store, data)
    put(store, data)
    assert read(store, digest) == data
    assert list(store.temporary.iterdir()) == []


def test_probe_is_written_once(store):
    """A damaged one is renewed at the start; a whole one is left alone, also where nothing can be written."""
    probe = store.root / "probe"
    probe.write_bytes(b"?")
    Store(store.root)
    assert probe.read_bytes() == PROBE
    before = probe.stat().st_mtime_ns
    Store(store.root)
    assert probe.stat().st_mtime_ns == before
    probe.unlink()
    with pytest.raises(NoSuchFile):
        store.open_probe()


def test_no_more_than_the_size_is_read(store):
    """What follows on the same connection is not touched."""
    source = io.BytesIO(DATA + b"the next request")
    store.put(DIGEST, len(DATA), source)
    assert source.read() == b"the next request"


@pytest.mark.parametrize(
    ("data", "size", "error"),
    [
        (DATA[:-1], len(DATA), Incomplete),
        (b"", 1, Incomplete),
        (DATA[:-1] + b"?", len(DATA), Mismatch),
        (DATA, len(DATA) - 1, Mismatch),
        (DATA + b"x", len(DATA) + 1, Mismatch),
        (b"<html>200 OK</html>", 19, Mismatch),
        (DATA, 1 << 62, DiskFull),
    ],
)
def test_wrong_bytes_are_refused_and_leave_nothing(store, data, size, error):
    """Truncated, changed, longer or other bytes are never published."""
    with pytest.raises(error):
        store.put(DIGEST, size, io.BytesIO(data))
    assert nothing_is_left(store)
    with pytest.raises(NoSuchFile):
        store.open(DIGEST)


def test_refused_bytes_leave_the_good_file(store):
    """A failed renewal does not harm what is there."""
    put(store, DATA)
    with pytest.raises(Mismatch):
        store.put(DIGEST, 3, io.BytesIO(b"bad"))
    assert read(store, DIGEST) == DATA


def test_sender_that_breaks_leaves_nothing(store):
    """An error of the source passes through, and the unfinished file is gone."""

    class Broken:
        def read(self, size):
            raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        store.put(DIGEST, 10, Broken())
    assert nothing_is_left(store)


def test_reserve_is_never_filled(tmp_path):
    """A file that would eat into the reserve is refused before a byte of it is read."""
    store, source = Store(tmp_path, reserve=1 << 62), io.BytesIO(DATA)
    with pytest.raises(DiskFull, match="0 bytes free"):
        store.put(DIGEST, len(DATA), source)
    assert source.tell() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_disk_that_fills_up_in_the_middle_says_so(store, monkeypatch):
    """ENOSPC while writing, here from the device that always has it, becomes a clear error and leaves nothing."""
    name = store.temporary / "on-a-full-device"
    name.write_bytes(b"")
    monkeypatch.setattr(store, "_unfinished", lambda: (name, open("/dev/full", "wb")))  # noqa: PTH123, SIM115 - put closes it
    data = os.urandom(1 << 21)
    with pytest.raises(DiskFull, match="became full"):
        store.put(sha256(data).hexdigest(), len(data), io.BytesIO(data))
    assert nothing_is_left(store)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "tmp"])
def test_other_names_are_no_files(store, name):
    """Only 64 lower-case hexadecimal digits name a file; nothing else reaches the disk."""
    for act in (store.open, store.delete, store.scrub, lambda name: store.put(name, 0, io.BytesIO())):
        with pytest.raises(NoSuchFile):
            act(name)


def test_delete(store):
    """A deleted file is gone, its readers go on, and deleting again changes nothing."""
    digest = put(store, DATA)
    file, _ = store.open(digest)
    with file:
        assert store.delete(digest) is True
        assert file.read() == DATA
    assert store.delete(digest) is False
    with pytest.raises(NoSuchFile):
        store.open(digest)


def test_scrub_removes_what_has_changed(store):
    """One flipped bit is found, the file is removed, and it can be put again."""
    digest = put(store, DATA)
    assert store.scrub(digest) is True
    path = store._path(digest)
    path.write_bytes(bytes([DATA[0] ^ 1]) + DATA[1:])
    assert store.scrub(digest) is False
    with pytest.raises(NoSuchFile):
        store.scrub(digest)
    put(store, DATA)
    assert store.scrub(digest) is True


@pytest.mark.parametrize("limit", [1, 3, 7, 20, 1000])
def test_inventory_in_pages(store, limit):
    """Pages of any size give every file once, in order, and strange files are passed over."""
    files = {put(store, str(n).encode()): len(str(n)) for n in range(20)}
    (store.root / "aa").mkdir(exist_ok=True)
    (store.root / "aa" / "notes.txt").write_text("x")
    found, after = [], ""
    while after is not None:
        page = store.inventory(after, limit)
        assert len(page.files) <= limit
        found += page.files
        after = page.after
    assert found == sorted(files.items())


def test_sweep_spares_writers_that_live(store):
    """A new process clears what the dead left and leaves the unfinished file of a living writer alone."""
    name, file = store._unfinished()
    (store.temporary / "of-a-dead-process").write_bytes(b"half")
    with file:
        Store(store.root)
        assert list(store.temporary.iterdir()) == [name]
    assert store.sweep() == 1
    assert nothing_is_left(store)
