"""Builders of real wheels and sdists, small enough for thousands and honest enough for pip to install."""

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping

Members = Mapping[str, bytes]


def metadata(name: str = "acme", version: str = "1.0", *lines: str, description: str = "", core: str = "2.1") -> bytes:
    """A METADATA or PKG-INFO file; `lines` are further headers such as `Requires-Dist: six`."""
    head = [f"Metadata-Version: {core}", f"Name: {name}", f"Version: {version}", *lines]
    return ("\n".join(head) + "\n" + (f"\n{description}" if description else "")).encode()


def record_of(members: Members, dist_info: str) -> bytes:
    """The RECORD of a wheel with these members (PEP 376, PEP 427)."""
    rows = []
    for path, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}")
    return ("\n".join([*rows, f"{dist_info}/RECORD,,"]) + "\n").encode()


def zip_of(members: Members, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of the members in order, with a fixed date so that equal input gives equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path, data in members.items():
            info = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))
            info.compress_type = compression
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def wheel_members(
    name: str = "acme",
    version: str = "1.0",
    *lines: str,
    tag: str = "py3-none-any",
    description: str = "",
    core: str = "2.1",
    files: Members | None = None,
) -> dict[str, bytes]:
    """The members of a wheel, RECORD last, for tests that spoil one of them."""
    module = name.replace("-", "_").replace(".", "_").lower()
    dist_info = f"{module}-{version}.dist-info"
    members = dict(files) if files is not None else {f"{module}/__init__.py": f'__version__ = "{version}"\n'.encode()}
    members[f"{dist_info}/METADATA"] = metadata(name, version, *lines, description=description, core=core)
    pure = "true" if tag.endswith("none-any") else "false"
    members[f"{dist_info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    members[f"{dist_info}/RECORD"] = record_of(members, dist_info)
    return members


def wheel(
    name: str = "acme", version: str = "1.0", *lines: str, tag: str = "py3-none-any", **more
) -> tuple[str, bytes]:
    """A valid wheel as (filename, bytes); `more` as for `wheel_members`."""
    module = name.replace("-", "_").replace(".", "_").lower()
    return f"{module}-{version}-{tag}.whl", zip_of(wheel_members(name, version, *lines, tag=tag, **more))


def tar_of(members: Members) -> bytes:
    """A gzip-compressed tar of the members in order, equal for equal input."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, data in members.items():
            info = tarfile.TarInfo(path)
            info.size, info.mtime, info.mode = len(data), 1_767_225_600, 0o644
            archive.addfile(info, io.BytesIO(data))
    import gzip

    return gzip.compress(raw.getvalue(), mtime=0)


def sdist_members(name: str = "acme", version: str = "1.0", *lines: str, core: str = "2.1", **more) -> dict[str, bytes]:
    """The members of an sdist that setuptools can build, under its one top-level folder (PEP 625)."""
    module = name.replace("-", "_").replace(".", "_").lower()
    top = f"{module}-{version}"
    project = f'[project]\nname = "{name}"\nversion = "{version}"\n[build-system]\nrequires = ["setuptools"]\n'
    return {
        f"{top}/PKG-INFO": metadata(name, version, *lines, core=core, **more),
        f"{top}/pyproject.toml": project.encode(),
        f"{top}/{module}/__init__.py": f'__version__ = "{version}"\n'.encode(),
    }


def sdist(name: str = "acme", version: str = "1.0", *lines: str, **more) -> tuple[str, bytes]:
    """A valid sdist as (filename, bytes)."""
    members = sdist_members(name, version, *lines, **more)
    top = next(iter(members)).split("/")[0]
    return f"{top}.tar.gz", tar_of(members)


def form(filename: str, content: bytes, name: str = "acme", version: str = "1.0", **more) -> dict[str, object]:
    """The text fields of a legacy upload as twine sends them; `more` overrides or adds."""
    is_wheel = filename.endswith(".whl")
    return {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": name,
        "version": version,
        "filetype": "bdist_wheel" if is_wheel else "sdist",
        "pyversion": filename.split("-")[-3] if is_wheel else "source",
        "sha256_digest": hashlib.sha256(content).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(content, digest_size=32).hexdigest(),
    } | more
