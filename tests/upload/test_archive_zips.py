"""Zip archives: what is accepted is read the same by Python's zipfile, and unusual but sound ones are accepted."""

import io
import struct
import zipfile

import pytest

from pkgindex.upload.archive import zips
from pkgindex.upload.archive.zip_framing import ends_like_zip, walk
from pkgindex.upload.errors import ZipRefused
from tests.support import distributions as dist
from tests.support.spoiled import UTF8, ZipMember, extra, raw_members, raw_zip, upload

WHEEL = "acme-1.0-py3-none-any.whl"
ALL_ONES = 0xFFFF_FFFF
AFTER_MEMBERS = raw_zip(raw_members()).index(b"PK\1\2")  # the offset of one member more


def stored(name: bytes = b"acme/data.bin", data: bytes = b"abc", **more) -> list[ZipMember]:
    return [*raw_members(), ZipMember(name, data, method=0, **more)]


def wide(**central) -> list[ZipMember]:
    """A member whose sizes are in ZIP64 fields, though they need none."""
    fields = struct.pack("<QQ", 3, 3)
    ones = {"size": ALL_ONES, "compressed": ALL_ONES}
    return stored(local=ones, local_extra=extra(1, fields), **central)


SOUND = {
    "written by zipfile": dist.wheel()[1],
    "stored": dist.zip_of(dist.wheel_members(), zipfile.ZIP_STORED),
    "archive comment": raw_zip(raw_members(), comment=b"made with care"),
    "directory entries": raw_zip([ZipMember(b"acme/", method=0), *raw_members()]),
    "UTF-8 name": raw_zip(stored("acme/naïve.txt".encode(), flags=UTF8)),
    "Unicode path that repeats the name": raw_zip(stored(central_extra=extra(0x7075, b"\1\0\0\0\0acme/data.bin"))),
    "extra fields": raw_zip(stored(local_extra=extra(0x5455, b"\0" * 5), central_extra=extra(0x5455, b"\0" * 5))),
    "central directory in another order": raw_zip(
        [*raw_members(), ZipMember(b"acme/x", b"x")], skip_central=[0], repeat_central=[0]
    ),
    "ZIP64 local field, as of a stream": raw_zip(wide(central={"size": 3, "compressed": 3})),
    "ZIP64 fields in both": raw_zip(wide(central_extra=extra(1, struct.pack("<QQ", 3, 3)))),
    "ZIP64 field besides true sizes": raw_zip(stored(local_extra=extra(1, struct.pack("<QQ", 3, 3)))),
    "empty ZIP64 field": raw_zip(stored(local_extra=extra(1, b""))),
    "ZIP64 offset only": raw_zip(
        stored(central={"offset": ALL_ONES}, central_extra=extra(1, struct.pack("<Q", AFTER_MEMBERS)))
    ),
    "ZIP64 end records": raw_zip(raw_members(), zip64={}),
    "ZIP64 end records that are needed": raw_zip(
        raw_members(), zip64={}, end={"records": 0xFFFF, "size": ALL_ONES, "offset": ALL_ONES}
    ),
}


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in SOUND.items()])
def test_sound_archives_are_accepted_and_read_as_zipfile_reads_them(tmp_path, content):
    """Whatever the walk accepts has the same names, sizes and bytes for the reader that pip uses."""
    assert upload(tmp_path, WHEEL, content).version == "1.0"
    archive = zips.open_zip(io.BytesIO(content), len(content))
    with zipfile.ZipFile(io.BytesIO(content)) as theirs:
        infos = theirs.infolist()
        assert {info.filename: (info.file_size, info.header_offset) for info in infos} == {
            name: (entry.header.size, entry.at) for name, entry in archive.entries.items()
        }
        assert {info.filename: theirs.read(info) for info in infos} == {
            name: archive.read(name, 1 << 20) for name in archive.entries
        }


def test_a_streamed_member_of_zipfile_is_accepted(tmp_path):
    """`force_zip64`, with which back ends write members of unknown size to a file, is sound."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in dist.wheel_members().items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    assert upload(tmp_path, WHEEL, buffer.getvalue()).name == "acme"


def test_a_gigabyte_of_content_costs_neither_time_nor_memory(tmp_path):
    """A wheel is checked by its headers: a sparse file of 1 GB is examined without reading it."""
    import tracemalloc

    head = raw_zip(raw_members())
    size = 1 << 30
    central_size = int.from_bytes(head[-10:-6], "little")
    start = len(head) - 22 - central_size
    name = b"acme/big.bin"
    local = struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 20, 0, 0, 0, 33, 1, size, size, len(name), 0) + name
    entry = struct.pack(
        "<4sBBHHHHHLLLHHHHHLL", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 33, 1, size, size, len(name), 0, 0, 0, 0, 0, start
    )
    directory = head[start:-22] + entry + name
    count = len(raw_members()) + 1
    at = start + len(local) + size
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.write(head[:start] + local)
        file.seek(size, 1)
        file.write(directory + struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, count, count, len(directory), at, 0))
    length = path.stat().st_size
    tracemalloc.start()
    with path.open("rb") as file:
        archive = zips.open_zip(file, length)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert archive.entries["acme/big.bin"].header.size == size
    assert peak < 1 << 20


def test_lines_bound_what_they_hold():
    """A member's lines come one at a time, with or without a last line feed, and none may be endless."""
    content = dist.zip_of({"a": b"one\ntwo", "b": b"", "c": b"x" * 300_000})
    archive = zips.open_zip(io.BytesIO(content), len(content))
    assert list(archive.lines("a", 100)) == ["one\n", "two"]
    assert list(archive.lines("b", 100)) == []
    with pytest.raises(ZipRefused, match="a line of more"):
        list(archive.lines("c", 1 << 20, longest=1000))
    with pytest.raises(ZipRefused, match="larger than 5 bytes"):
        archive.read("a", 5)
    with pytest.raises(KeyError):
        archive.read("missing", 5)


def test_too_many_members_are_refused(monkeypatch):
    """The number of members is bounded, so that headers alone cannot fill the memory."""
    monkeypatch.setattr("pkgindex.upload.archive.zip_framing.MAX_MEMBERS", 3)
    content = dist.zip_of({str(n): b"" for n in range(4)})
    with pytest.raises(ZipRefused, match="more than 3 members"):
        walk(io.BytesIO(content), len(content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (dist.wheel()[1], True),
        (b"anything" + dist.wheel()[1], True),
        (b"anything" + dist.wheel()[1] + b"x" * 60_000, True),
        (b"anything" + raw_zip(raw_members(), zip64={}, end={"size": ALL_ONES}), True),
        (dist.sdist()[1], False),
        (b"", False),
        (b"PK\5\6", False),
        (b"PK\5\6" * 50, False),
    ],
)
def test_what_ends_like_a_zip_archive(content, expected):
    """A file that any program could open as a zip archive from its end is known as such; chance matches are not."""
    assert ends_like_zip(io.BytesIO(content), len(content)) is expected
