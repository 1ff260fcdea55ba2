"""Wrong in the zip archive."""

import struct
from dataclasses import replace

from tests.support import distributions as dist
from tests.support.spoiled import UTF8, ZipMember, extra, raw_header, raw_members, raw_zip, spoiled_first, with_member
from tests.upload.invalid.row import zipped

ALL_ONES = 0xFFFF_FFFF
FULL64 = struct.pack("<QQ", 3, 3)
ZIPS = [
    zipped("not a zip", "unknown record signature", b"not a zip archive at all"),
    zipped("a tar instead", "unknown record signature", dist.sdist()[1]),
    zipped("half", "truncated", dist.wheel()[1][:300]),
    zipped("without its last byte", "truncated", dist.wheel()[1][:-1]),
    zipped("leading data", "unknown record signature", b"#!/bin/sh\n" + dist.wheel()[1]),
    zipped("leading data, offsets right", "unknown record signature", raw_zip(raw_members(), before=b"MZ\0\0")),
    zipped("trailing data", "trailing data", dist.wheel()[1] + b"\0"),
    zipped("two archives", "trailing data", dist.wheel()[1] * 2),
    zipped("gap between members", "unknown record signature", raw_zip(raw_members(), between=b"gap!")),
    zipped("gap before directory", "unknown record signature", raw_zip(raw_members(), before_central=b"PK\7\x08abcd")),
    zipped("end record in comment", "end record within", raw_zip(raw_members(), comment=raw_zip([]))),
    zipped(
        "locator in directory",
        "locator within",
        raw_zip(with_member(name=b"z", central_extra=extra(0xCAFE, b"PK\6\7" + b"\0" * 16))),
    ),
    zipped("twice in both", "duplicate filename in local", raw_zip([*raw_members(), raw_members()[0]])),
    zipped("twice in directory", "duplicate filename in central", raw_zip(raw_members(), repeat_central=[0])),
    zipped("same path, other spelling", "duplicate", raw_zip(with_member(name=b"acme/./__init__.py"))),
    zipped("file and directory", "duplicate", raw_zip(with_member(name=b"acme/__init__.py/"))),
    zipped("only in local", "not in central directory", raw_zip(raw_members(), skip_central=[0])),
    zipped("only in central", "missing filename in local", raw_zip(spoiled_first(central={"name": b"acme/other.py"}))),
    zipped("other size", "mismatched local header", raw_zip(spoiled_first(central={"size": 5}))),
    zipped("other compressed size", "mismatched local header", raw_zip(spoiled_first(central={"compressed": 5}))),
    zipped("other method", "mismatched local header", raw_zip(spoiled_first(central={"method": 0}))),
    zipped("other checksum", "mismatched local header", raw_zip(spoiled_first(central={"crc": 5}))),
    zipped("other offset", "mismatched local header", raw_zip(spoiled_first(central={"offset": 1}))),
    zipped(
        "members share bytes",
        "mismatched local header",
        raw_zip(with_member(name=b"acme/copy.py", central={"offset": 0})),
    ),
    zipped("stored with two sizes", "stored member", raw_zip(with_member(name=b"z", method=0, local={"size": 9}))),
    zipped("longer than the file", "truncated", raw_zip(spoiled_first(local={"compressed": 1 << 30}))),
    zipped("data descriptor", "data descriptor", raw_zip(spoiled_first(flags=8))),
    zipped("data descriptor, central", "data descriptor", raw_zip(spoiled_first(central={"flags": 8}))),
    zipped("encrypted", "encrypted", raw_zip(spoiled_first(flags=1))),
    zipped("masked headers", "encrypted", raw_zip(spoiled_first(flags=0x2000))),
    zipped("patch data", "unknown flags", raw_zip(spoiled_first(flags=0x20))),
    zipped("bzip2", "other than deflate", raw_zip(spoiled_first(method=12))),
    zipped("needs a newer version", "unknown version", raw_zip(spoiled_first(needed=64))),
    zipped("member comment", "comment in central", raw_zip(spoiled_first(comment=b"hi"))),
    zipped("symlink", "symbolic link", raw_zip(with_member(name=b"l", data=b"/etc", attributes=0o120777 << 16))),
    zipped("name not UTF-8", "not valid UTF-8", raw_zip(with_member(name=b"\xff", flags=UTF8))),
    zipped("UTF-8 not declared", "not declared", raw_zip(with_member(name="é".encode()))),
    zipped("NUL in name", "invalid character", raw_zip(with_member(name=b"a\0b"))),
    zipped("line feed in name", "invalid character", raw_zip(with_member(name=b"a\nb"))),
    zipped("empty name", "unsafe filename", raw_zip(with_member(name=b""))),
    zipped("absolute in zip", "unsafe filename", raw_zip(with_member(name=b"/etc/passwd"))),
    zipped("climbing in zip", "unsafe filename", raw_zip(with_member(name=b"acme/../../x"))),
    zipped("backslash in name", "unsafe filename", raw_zip(with_member(name=b"acme\\x"))),
    zipped("drive", "unsafe filename", raw_zip(with_member(name=b"C:/x"))),
    zipped("extra field cut", "malformed extra", raw_zip(spoiled_first(local_extra=b"\1\0\x08\0abc"))),
    zipped("extra field of one byte", "malformed extra", raw_zip(spoiled_first(central_extra=b"x"))),
    zipped("two ZIP64 fields", "duplicate extra", raw_zip(spoiled_first(local_extra=extra(1, b"") * 2))),
    zipped(
        "two Unicode paths",
        "duplicate extra",
        raw_zip(with_member(name=b"z", central_extra=extra(0x7075, b"\1\0\0\0\0z") * 2)),
    ),
    zipped(
        "another Unicode path",
        "Unicode path",
        raw_zip(with_member(name=b"z", central_extra=extra(0x7075, b"\1\0\0\0\0y"))),
    ),
    zipped(
        "ZIP64 field missing",
        "it is missing",
        raw_zip(with_member(name=b"z", local={"size": ALL_ONES, "compressed": ALL_ONES})),
    ),
    zipped("ZIP64 field of 5 bytes", "wrong length", raw_zip(spoiled_first(local_extra=extra(1, b"12345")))),
    zipped("ZIP64 field contradicts", "contradicts", raw_zip(spoiled_first(local_extra=extra(1, FULL64)))),
    zipped(
        "ZIP64 field ambiguous",
        "ambiguous",
        raw_zip(
            with_member(
                name=b"z",
                data=b"abc",
                method=0,
                local={"compressed": ALL_ONES},
                local_extra=extra(1, FULL64),
            )
        ),
    ),
    zipped("more records", "directory records", raw_zip(raw_members(), end={"records": 9})),
    zipped("other directory size", "directory size", raw_zip(raw_members(), end={"size": 9})),
    zipped("other directory offset", "directory offset", raw_zip(raw_members(), end={"offset": 9})),
    zipped("second disk", "several disks", raw_zip(raw_members(), end={"disk": 1})),
    zipped("ZIP64 extensible data", "extensible", raw_zip(raw_members(), zip64={"length": 52})),
    zipped("ZIP64 records", "directory records", raw_zip(raw_members(), zip64={"records": 1})),
    zipped("ZIP64 offset", "directory offset", raw_zip(raw_members(), zip64={"offset": 1})),
    zipped("ZIP64 locator elsewhere", "locator", raw_zip(raw_members(), zip64={"at": 1})),
    zipped(
        "zip bomb",
        "50 times",
        raw_zip(with_member(name=b"z", data=bytes(65 << 20))),
        "decompression_bomb",
    ),
    zipped(
        "metadata larger than it says",
        "declared size",
        raw_zip([replace(m, local={"size": 20}) if m.name.endswith(b"/METADATA") else m for m in raw_members()]),
    ),
    zipped(
        "metadata with another checksum",
        "checksum",
        raw_zip([replace(m, local={"crc": 20}) if m.name.endswith(b"/METADATA") else m for m in raw_members()]),
    ),
    zipped(
        "bytes after the deflate stream",
        "bytes after",
        raw_zip(
            [replace(m, packed=m.sizes()[0] + b"?") if m.name.endswith(b"/METADATA") else m for m in raw_members()]
        ),
    ),
    zipped(
        "deflate stream cut",
        "does not unpack",
        raw_zip([replace(m, packed=m.sizes()[0][:-5]) if m.name.endswith(b"/WHEEL") else m for m in raw_members()]),
    ),
    zipped(
        "not deflate",
        "does not unpack",
        raw_zip([replace(m, packed=b"\xff" * 50) if m.name.endswith(b"/WHEEL") else m for m in raw_members()]),
    ),
    zipped("tar and zip", "both", raw_zip([ZipMember(b"x", local_extra=b"")]), "ambiguous_archive"),
]
# A local header whose name and extra field spell a tar header: the name is the file's, the checksum is right.
_polyglot = bytearray(raw_header(b"PK\x03\x04"))
ZIPS[-1].content = bytes(_polyglot) + dist.wheel()[1]
