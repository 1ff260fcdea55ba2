"""Builders of distributions that are wrong in exactly one way, and the shortest path from bytes to a verdict."""

import gzip
import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pkgindex.catalog.policy import IndexPolicy
from pkgindex.upload.examine import examine
from pkgindex.upload.submission import Distribution, Spooled, Submission
from tests.support import distributions as dist

UTF8 = 0x0800


def fields_of(form: Mapping[str, object]) -> dict[str, list[str]]:
    """A form of single values as the multi-valued mapping that a parser gives; None drops the field."""
    return {
        name: [str(item) for item in (value if isinstance(value, list) else [value])]
        for name, value in form.items()
        if value is not None
    }


def spooled(folder: Path, content: bytes) -> Spooled:
    """The bytes as a file that arrived completely."""
    path = folder / "spooled"
    path.write_bytes(content)
    return Spooled(
        path,
        len(content),
        hashlib.md5(content).hexdigest(),
        hashlib.sha256(content).hexdigest(),
        hashlib.blake2b(content, digest_size=32).hexdigest(),
    )


def upload(
    folder: Path, filename: str, content: bytes, policy: IndexPolicy | None = None, **form: object
) -> Distribution:
    """Examine an upload whose form fits the builders' defaults but for `form`."""
    submission = Submission.from_fields(fields_of(dist.form(filename, content, **form)), filename)
    return examine(submission, spooled(folder, content), policy or IndexPolicy())


@dataclass(frozen=True)
class ZipMember:
    """A member with everything that its two headers say; None in the central half means "as in the local header"."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    local_extra: bytes = b""
    central_extra: bytes = b""
    attributes: int = 0o100644 << 16
    comment: bytes = b""
    needed: int = 20
    packed: bytes | None = None
    local: Mapping[str, int] = field(default_factory=dict)  # overrides: crc, compressed, size
    central: Mapping[str, int | bytes] = field(default_factory=dict)  # besides: name, method, flags, offset

    def sizes(self) -> tuple[bytes, dict[str, int]]:
        packed = self.packed
        if packed is None:
            packed = deflate(self.data) if self.method == 8 else self.data
        return packed, {"crc": zlib.crc32(self.data), "compressed": len(packed), "size": len(self.data)}


def deflate(data: bytes) -> bytes:
    """Raw deflate, as zip archives hold it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def extra(kind: int, data: bytes) -> bytes:
    """An extra field."""
    return struct.pack("<HH", kind, len(data)) + data


def raw_zip(
    members: Iterable[ZipMember],
    *,
    before: bytes = b"",
    between: bytes = b"",
    before_central: bytes = b"",
    comment: bytes = b"",
    after: bytes = b"",
    skip_central: Iterable[int] = (),
    repeat_central: Iterable[int] = (),
    zip64: Mapping[str, int] | None = None,
    end: Mapping[str, int] | None = None,
) -> bytes:
    """A zip archive written record by record.

    `zip64` adds the ZIP64 end records; it and `end` override their fields.
    """
    body, central = before, []
    for member in members:
        packed, sizes = member.sizes()
        local = sizes | dict(member.local)
        about = {"name": member.name, "method": member.method, "flags": member.flags, "offset": len(body)}
        about |= local | dict(member.central)
        body += struct.pack(
            "<4sHHHHHLLLHH", b"PK\x03\x04", member.needed, member.flags, member.method, 0, 33,
            local["crc"], local["compressed"], local["size"], len(member.name), len(member.local_extra),
        )  # fmt: skip
        body += member.name + member.local_extra + packed + between
        central.append(
            struct.pack(
                "<4sBBHHHHHLLLHHHHHLL", b"PK\x01\x02", 20, 3, member.needed, about["flags"], about["method"], 0, 33,
                about["crc"], about["compressed"], about["size"], len(about["name"]), len(member.central_extra),
                len(member.comment), 0, 0, member.attributes, about["offset"],
            ) + about["name"] + member.central_extra + member.comment
        )  # fmt: skip
    order = [i for i in range(len(central)) if i not in set(skip_central)] + list(repeat_central)
    body += before_central
    start, directory = len(body), b"".join(central[i] for i in order)
    body += directory
    actual = {"records": len(order), "size": len(directory), "offset": start}
    if zip64 is not None:
        wide = {"length": 44, "at": len(body)} | actual | dict(zip64)
        body += struct.pack(
            "<4sQHHLLQQQQ", b"PK\x06\x06", wide["length"], 45, 45, 0, 0, wide["records"], wide["records"],
            wide["size"], wide["offset"],
        )  # fmt: skip
        body += struct.pack("<4sLQL", b"PK\x06\x07", 0, wide["at"], 1)
    last = {"disk": 0} | actual | dict(end or {})
    body += struct.pack(
        "<4sHHHHLLH", b"PK\x05\x06", last["disk"], 0, last["records"], last["records"], last["size"], last["offset"],
        len(comment),
    )  # fmt: skip
    return body + comment + after


def raw_members(**more: object) -> list[ZipMember]:
    """The members of a valid wheel of `acme` 1.0 for `raw_zip`, the module first; `more` as for `wheel_members`."""
    return [ZipMember(name.encode(), data) for name, data in dist.wheel_members(**more).items()]


def spoiled_first(**changes: object) -> list[ZipMember]:
    """The same with the first member changed."""
    first, *rest = raw_members()
    return [replace(first, **changes), *rest]


def with_member(**about: object) -> list[ZipMember]:
    """The same with one more member."""
    return [*raw_members(), ZipMember(**about)]


def with_file(path: str, data: bytes | None, **more: object) -> bytes:
    """A wheel of `acme` 1.0 in which one file of the .dist-info is another, or missing."""
    members = dist.wheel_members(**more)
    members.pop(f"acme-1.0.dist-info/{path}", None)
    if data is not None:
        members[f"acme-1.0.dist-info/{path}"] = data
    return dist.zip_of(members)


def wheel_with_metadata(metadata: bytes) -> bytes:
    """A wheel of `acme` 1.0 with this METADATA."""
    return with_file("METADATA", metadata)


@dataclass(frozen=True)
class TarMember:
    """A member for `raw_tar`."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    pax: Mapping[str, str] = field(default_factory=dict)


def raw_tar(members: Iterable[TarMember], form: int = tarfile.PAX_FORMAT, **more: object) -> bytes:
    """A tar archive, not compressed."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form, **more) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.size, info.type, info.linkname, info.mode = len(member.data), member.kind, member.target, 0o644
            info.pax_headers = dict(member.pax)
            archive.addfile(info, io.BytesIO(member.data))
    return raw.getvalue()


def tar_gz(members: Iterable[TarMember], **more: object) -> bytes:
    """The same, compressed."""
    return gzip.compress(raw_tar(members, **more), mtime=0)


def sdist_tar(*more: TarMember, **options: object) -> bytes:
    """A valid sdist of `acme` 1.0 with more members."""
    return tar_gz([*(TarMember(name, data) for name, data in dist.sdist_members().items()), *more], **options)


def raw_header(name: bytes, size: bytes = b"00000000000", kind: bytes = b"0", prefix: bytes = b"") -> bytes:
    """A tar header block of ustar's shape with a right checksum around whatever is in it."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[124 : 124 + len(size)] = b"0000644\0", size
    block[156:157], block[257:265] = kind, b"ustar\x0000" if not prefix.startswith(b"!") else b"ustar  \x00"
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)
