"""Tar archives: what is accepted is read the same by Python's tarfile, and unusual but sound ones are accepted."""

import gzip
import io
import tarfile

import pytest

from pkgindex.upload.archive.gunzip import Gunzip
from pkgindex.upload.archive.tars import TarReader
from pkgindex.upload.errors import DecompressionBomb, TarRefused
from tests.support import distributions as dist
from tests.support.spoiled import TarMember, raw_header, sdist_tar, tar_gz, upload

TOP = "acme-1.0"
LONG = f"{TOP}/" + "d" * 90 + "/" + "f" * 90 + ".py"
MANY_GIB = 1 << 40


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> TarMember:
    return TarMember(f"{TOP}/{name}", kind=kind, target=target)


def in_members(content: bytes) -> bytes:
    """The same bytes in gzip members of 700 bytes, as `bgzip` does it."""
    raw = gzip.decompress(content)
    return b"".join(gzip.compress(raw[at : at + 700]) for at in range(0, len(raw), 700))


SOUND = {
    "written by tarfile": dist.sdist()[1],
    "ustar": sdist_tar(TarMember(LONG, b"x"), form=tarfile.USTAR_FORMAT),
    "GNU long name": sdist_tar(TarMember(LONG * 2, b"x"), link("l", "acme/" + "t" * 200), form=tarfile.GNU_FORMAT),
    "pax long name": sdist_tar(TarMember(LONG * 2, b"x"), link("l", "acme/" + "t" * 200)),
    "pax fields": sdist_tar(TarMember(f"{TOP}/x", b"x", pax={"mtime": "1.5", "comment": "a=b\nc"})),
    "pax path": sdist_tar(TarMember("short", b"x", pax={"path": f"{TOP}/é"})),
    "global comment, as git writes": sdist_tar(pax_headers={"comment": "0" * 40}),
    "dot before every name": tar_gz([TarMember("./" + n, d) for n, d in dist.sdist_members().items()]),
    "directories": sdist_tar(TarMember(f"{TOP}/acme/sub", kind=tarfile.DIRTYPE)),
    "symlink beside": sdist_tar(link("README", "PKG-INFO")),
    "symlink up and down": sdist_tar(link("acme/README", "../PKG-INFO")),
    "symlink to the top": sdist_tar(link("acme/all", "..")),
    "dangling symlink": sdist_tar(link("l", "nothing/here")),
    "hard link": sdist_tar(link("h", f"{TOP}/PKG-INFO", tarfile.LNKTYPE)),
    "Latin-1 name": sdist_tar(TarMember(f"{TOP}/caf\udce9", b"x"), encoding="utf-8", errors="surrogateescape",
                              form=tarfile.GNU_FORMAT),
    "no end of archive": gzip.compress(gzip.decompress(dist.sdist()[1])[:3072].rstrip(b"\0").ljust(3072, b"\0")),
    "zeros after gzip": dist.sdist()[1] + bytes(5000),
    "several gzip members": in_members(dist.sdist()[1]),
    "gzip name and comment": b"\x1f\x8b\x08\x18" + bytes(6) + b"name\0comment\0" + dist.sdist()[1][10:],
}  # fmt: skip


def ours(content: bytes) -> list[tuple[str, int]]:
    reader = TarReader(io.BytesIO(content), len(content), MANY_GIB)
    return [("/".join(member.path), member.size) for member in reader.members()]


def theirs(content: bytes) -> list[tuple[str, int]]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        return [(info.name.removeprefix("./").rstrip("/"), info.size if info.isreg() else 0) for info in archive]


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in SOUND.items()])
def test_sound_archives_are_accepted_and_read_as_tarfile_reads_them(tmp_path, content):
    """Whatever the walk accepts has the same names and sizes for the reader that pip uses."""
    assert upload(tmp_path, "acme-1.0.tar.gz", content).packagetype == "sdist"
    assert ours(content) == theirs(content)


def test_old_directories_and_wide_sizes_are_understood():
    """V7's directories end in a slash; GNU writes sizes beyond octal in base 256."""
    wide = b"\x80" + (600).to_bytes(11, "big")
    raw = raw_header(b"top/", kind=b"\0") + raw_header(b"top/x", wide) + bytes(1024) + bytes(1024)
    content = gzip.compress(raw)
    assert ours(content) == theirs(content) == [("top", 0), ("top/x", 600)]


def test_data_of_members_is_read_in_order():
    """A member's data is there until the next member is asked for, whether or not anybody read the last one's."""
    content = tar_gz([TarMember("a", b"first" * 1000), TarMember("b", b"second"), TarMember("c", b"")])
    reader = TarReader(io.BytesIO(content), len(content), MANY_GIB)
    read = {member.path: reader.read(member) for member in reader.members() if member.path != ("a",)}
    assert read == {("b",): b"second", ("c",): b""}


def test_the_cap_counts_besides_the_ratio():
    """An archive that is no bomb by its ratio is still bounded by what the index allows."""
    import random

    content = tar_gz([TarMember("a", random.Random(5).randbytes(1 << 20) * 70)])
    assert len(content) * 50 > 70 << 20
    with pytest.raises(DecompressionBomb, match=str(64 << 20)):
        ours_capped(content, 1 << 20)
    assert ours_capped(content, MANY_GIB) == 1


def ours_capped(content: bytes, cap: int) -> int:
    return sum(1 for _ in TarReader(io.BytesIO(content), len(content), cap).members())


def test_too_many_members_are_refused(monkeypatch):
    """The number of members is bounded."""
    monkeypatch.setattr("pkgindex.upload.archive.tars.MAX_MEMBERS", 3)
    with pytest.raises(TarRefused, match="more than 3 members"):
        ours(tar_gz([TarMember(str(n)) for n in range(4)]))


def test_too_many_gzip_members_are_refused(monkeypatch):
    """A file of millions of empty gzip members would cost time and say nothing."""
    monkeypatch.setattr("pkgindex.upload.archive.gunzip.MAX_GZIP_MEMBERS", 3)
    with pytest.raises(TarRefused, match="more than 3 gzip members"):
        Gunzip(io.BytesIO(gzip.compress(b"") * 5), 100).read(1)


def test_unpacking_reads_in_any_step():
    """Reads and skips of odd lengths give the stream's bytes, also across its inner pieces."""
    data = bytes(range(256)) * 2000
    stream = Gunzip(io.BytesIO(gzip.compress(data)), 1 << 30)
    assert stream.read(70_000) == data[:70_000]
    assert stream.skip(100_001) == 100_001
    assert stream.read(1 << 20) == data[170_001:]
    assert stream.skip(10) == 0
