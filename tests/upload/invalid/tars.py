"""Wrong in the tar archive, or in what the sdist holds."""

import gzip
import tarfile

from tests.support import distributions as dist
from tests.support.spoiled import TarMember, raw_header, raw_tar, sdist_tar, tar_gz
from tests.upload.invalid.row import tarred

TOP = "acme-1.0"


def extended(size: int, data: bytes = b"") -> bytes:
    """An archive that is one pax header of so many bytes and what there is of its data."""
    padding = bytes(-len(data) % 512)
    return gzip.compress(raw_header(b"x", f"{size:011o}".encode(), b"x") + data + padding)


PKG_INFO = dist.metadata()
TARS = [
    tarred("not gzip", "not a gzip stream", raw_tar([TarMember(f"{TOP}/PKG-INFO", PKG_INFO)])),
    tarred("a wheel instead", "both", dist.wheel()[1], "ambiguous_archive"),
    tarred("zip after the gzip stream", "both", dist.sdist()[1] + dist.wheel()[1], "ambiguous_archive"),
    tarred("not tar", "wrong checksum", gzip.compress(b"x" * 5000)),
    tarred("gzip of nothing", "is empty", gzip.compress(b""), "invalid_sdist"),
    tarred("gzip cut", "truncated", dist.sdist()[1][:-12]),
    tarred("gzip without its end", "truncated", dist.sdist()[1][:-4]),
    tarred("gzip checksum", "broken", dist.sdist()[1][:-8] + b"\0" * 8),
    tarred("data after gzip", "other data follows", dist.sdist()[1] + b"garbage"),
    tarred("tar cut in a member", "truncated", gzip.compress(gzip.decompress(dist.sdist()[1])[:600])),
    tarred("data after the archive", "after the end", gzip.compress(gzip.decompress(dist.sdist()[1]) + b"x" * 512)),
    tarred("absolute", "unsafe name", sdist_tar(TarMember("/etc/passwd", b"x"))),
    tarred("climbing", "unsafe name", sdist_tar(TarMember(f"{TOP}/../../x", b"x"))),
    tarred("climbing on Windows", "unsafe name", sdist_tar(TarMember(f"{TOP}/a\\..\\..\\x", b"x"))),
    tarred("climbing by pax", "unsafe name", sdist_tar(TarMember("ok", b"x", pax={"path": f"{TOP}/../x"}))),
    tarred("two at the top", "exactly one directory", sdist_tar(TarMember("other/x", b"x")), "invalid_sdist"),
    tarred("file at the top", "exactly one directory", sdist_tar(TarMember("x", b"x")), "invalid_sdist"),
    tarred("top of another", "does not match", tar_gz([TarMember("other-1.0/PKG-INFO", PKG_INFO)]), "invalid_sdist"),
    tarred("top without version", "does not match", tar_gz([TarMember("acme/PKG-INFO", PKG_INFO)]), "invalid_sdist"),
    tarred("no PKG-INFO", "PKG-INFO is missing", tar_gz([TarMember(f"{TOP}/setup.py", b"")]), "invalid_sdist"),
    tarred(
        "PKG-INFO below only",
        "PKG-INFO is missing",
        tar_gz([TarMember(f"{TOP}/acme.egg-info/PKG-INFO", PKG_INFO)]),
        "invalid_sdist",
    ),
    tarred(
        "two PKG-INFO", "more than one", sdist_tar(TarMember(f"{TOP}/./PKG-INFO", PKG_INFO)), "invalid_sdist"
    ),
    tarred(
        "PKG-INFO a link",
        "not a regular file",
        tar_gz([TarMember(f"{TOP}/PKG-INFO", kind=tarfile.SYMTYPE, target="other")]),
        "invalid_sdist",
    ),
    tarred(
        "PKG-INFO of 17 MiB", "larger than", tar_gz([TarMember(f"{TOP}/PKG-INFO", bytes(17 << 20))]), "invalid_sdist"
    ),
    tarred("symlink outside", "leads outside", sdist_tar(TarMember(f"{TOP}/l", kind=tarfile.SYMTYPE, target="../x"))),
    tarred("symlink to root", "leads outside", sdist_tar(TarMember(f"{TOP}/l", kind=tarfile.SYMTYPE, target="/etc"))),
    tarred("symlink to nothing", "leads outside", sdist_tar(TarMember(f"{TOP}/l", kind=tarfile.SYMTYPE))),
    tarred(
        "symlink through a symlink",
        "leads outside",
        sdist_tar(
            TarMember(f"{TOP}/here", kind=tarfile.SYMTYPE, target="."),
            TarMember(f"{TOP}/a/b", kind=tarfile.SYMTYPE, target="../here/../../x"),
        ),
    ),
    tarred(
        "member below a symlink",
        "below a symbolic link",
        sdist_tar(
            TarMember(f"{TOP}/l", kind=tarfile.SYMTYPE, target="acme"),
            TarMember(f"{TOP}/l/x", b"x"),
        ),
    ),
    tarred(
        "symlink over a directory in use",
        "below a symbolic link",
        sdist_tar(TarMember(f"{TOP}/acme", kind=tarfile.SYMTYPE, target="elsewhere")),
    ),
    tarred("hard link outside", "hard link", sdist_tar(TarMember(f"{TOP}/h", kind=tarfile.LNKTYPE, target="../x"))),
    tarred("hard link to nothing", "hard link", sdist_tar(TarMember(f"{TOP}/h", kind=tarfile.LNKTYPE, target="x"))),
    tarred("top a symlink", "exactly one", tar_gz([TarMember(TOP, kind=tarfile.SYMTYPE, target=".")]), "invalid_sdist"),
    tarred("character device", "device", sdist_tar(TarMember(f"{TOP}/d", kind=tarfile.CHRTYPE))),
    tarred("block device", "device", sdist_tar(TarMember(f"{TOP}/d", kind=tarfile.BLKTYPE))),
    tarred("fifo", "fifo", sdist_tar(TarMember(f"{TOP}/f", kind=tarfile.FIFOTYPE))),
    tarred("sparse", "sparse", sdist_tar(TarMember(f"{TOP}/s", kind=tarfile.GNUTYPE_SPARSE))),
    tarred("sparse by pax", "sparse", sdist_tar(TarMember(f"{TOP}/s", b"x", pax={"GNU.sparse.major": "1"}))),
    tarred("character set", "character set", sdist_tar(TarMember(f"{TOP}/s", b"x", pax={"hdrcharset": "BINARY"}))),
    tarred("unknown kind", "unknown kind", sdist_tar(TarMember(f"{TOP}/q", kind=b"Q"))),
    tarred("link with data", "with data", gzip.compress(raw_header(b"acme-1.0/l", b"00000000007", b"2") + bytes(1536))),
    tarred("global names", "global header", sdist_tar(pax_headers={"path": "x"})),
    tarred("pax size not a number", "malformed pax", sdist_tar(TarMember(f"{TOP}/s", b"x", pax={"size": "-5"}))),
    tarred("pax header broken", "malformed pax", extended(5, b"9 a=b")),
    tarred("pax header endless", "extended header of more", extended(1 << 30)),
    tarred("pax header in its padding", "padding", extended(6, b"6 a=b\n12 path=evil\n")),
    tarred("time not a number", "malformed number", gzip.compress(raw_header(b"acme-1.0/x", b"0" * 11 + b"\0zzzz"))),
    tarred("pax header of nothing", "belongs to no member", extended(6, b"6 a=b\n")),
    tarred("size not octal", "malformed number", gzip.compress(raw_header(b"acme-1.0/x", b"0x000000010"))),
    tarred("negative size", "malformed number", gzip.compress(raw_header(b"acme-1.0/x", b"\xff" * 12))),
    tarred("size beyond the archive", "truncated", gzip.compress(raw_header(b"acme-1.0/x", b"77777777777"))),
    tarred("prefix outside ustar", "prefix", gzip.compress(raw_header(b"acme-1.0/x", prefix=b"!evil"))),
    tarred("tar bomb", "unpacks to more", sdist_tar(TarMember(f"{TOP}/z", bytes(70 << 20))), "decompression_bomb"),
]  # fmt: skip
