"""Strangers' bytes: whatever is done to a valid distribution, the answer is a distribution or a refusal."""

import gzip
import io
import logging
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgindex.upload.archive import paths, zips
from pkgindex.upload.archive.tars import TarReader
from pkgindex.upload.errors import InvalidUpload, UnreadableArchive
from pkgindex.upload.metadata import parse
from tests.support import distributions as dist
from tests.support.spoiled import TarMember, raw_members, raw_zip, sdist_tar, upload, wheel_with_metadata

WHEEL = "acme-1.0-py3-none-any.whl"
FIELDS = [
    "Name", "Version", "Requires-Dist", "Requires-Python", "Project-URL", "Keywords", "Description", "License",
    "License-File", "Dynamic", "Classifier", "Content-Type", "Content-Transfer-Encoding", "Platform", "Import-Name",
]  # fmt: skip
LINES = ("Requires-Dist: six>=1; extra == 'x'", "Provides-Extra: x", "Requires-Python: >=3.8", "Summary: ä")
WHEELS = [dist.wheel("acme", "1.0", *LINES, description="# Hi")[1], raw_zip(raw_members(), zip64={}, comment=b"hi")]
SDISTS = [
    gzip.decompress(dist.sdist("acme", "1.0", *LINES)[1]),
    gzip.decompress(sdist_tar(TarMember("acme-1.0/" + "l" * 150, b"x"), TarMember("acme-1.0/l", target="acme"))),
]


@st.composite
def mutated(draw, originals: list[bytes]) -> bytes:
    """One of the originals with a few bytes flipped, cut out, inserted or repeated."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.sampled_from([1, 2, 4, 30, 512]))
        match draw(st.sampled_from(["flip", "set", "cut", "insert", "repeat", "truncate"])):
            case "flip":
                data[at : at + 1] = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at : at + 1])
            case "set":
                data[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case "cut":
                del data[at : at + length]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=20))
            case "repeat":
                data[at:at] = data[at : at + length]
            case "truncate":
                del data[at:]
    return bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mutated")


@pytest.fixture(autouse=True)
def _quiet():
    """Failures of parsers are logged with their traceback; here there are many."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def accepted(folder: Path, filename: str, content: bytes) -> bool:
    try:
        upload(folder, filename, content)
    except InvalidUpload:
        return False
    return True


@given(content=mutated(WHEELS))
@settings(max_examples=400, deadline=None)
def test_wheels(folder, content):
    """A spoiled wheel is refused, or zipfile finds the same members in the same places."""
    if accepted(folder, WHEEL, content):
        ours = zips.open_zip(io.BytesIO(content), len(content)).entries
        with zipfile.ZipFile(io.BytesIO(content)) as theirs:
            assert {info.orig_filename: (info.file_size, info.header_offset) for info in theirs.infolist()} == {
                name: (entry.header.size, entry.at) for name, entry in ours.items()
            }


@given(content=mutated(SDISTS))
@settings(max_examples=400, deadline=None)
def test_sdists(folder, content):
    """A spoiled tar archive is refused, or tarfile reads the same members."""
    packed = gzip.compress(content, 1, mtime=0)
    if accepted(folder, "acme-1.0.tar.gz", packed):
        ours = TarReader(io.BytesIO(packed), len(packed), 1 << 30).members()
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as theirs:
            assert [(paths.parts_of(info.name), info.size) for info in theirs] == [
                (member.path, member.size) for member in ours
            ]


@given(content=mutated([dist.sdist()[1], dist.wheel()[1]]))
@settings(max_examples=200, deadline=None)
def test_gzip_streams(folder, content):
    """Bytes changed in the compressed stream itself never get past the examination as another error."""
    accepted(folder, "acme-1.0.tar.gz", content)


@given(content=mutated([dist.metadata("acme", "1.0", *LINES, description="# Hi", core="2.4")]))
@settings(max_examples=400, deadline=None)
def test_metadata(folder, content):
    """Spoiled metadata is refused or understood."""
    accepted(folder, WHEEL, wheel_with_metadata(content))


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(FIELDS),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.binary(max_size=20),
        ),
        max_size=6,
    )
)
@settings(max_examples=400, deadline=None)
def test_headers(headers):
    """Any text or bytes in any field is refused by name or comes out as text that a database can hold."""
    data = b"Metadata-Version: 2.5\nName: acme\nVersion: 1.0\n"
    for name, value in headers:
        data += name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) + b"\n"
    try:
        found = parse(data)
    except InvalidUpload:
        return
    for text in (str(found.core), found.description, found.summary):
        assert "\0" not in text
        text.encode()


def test_a_failing_parser_is_a_refusal(tmp_path, monkeypatch):
    """An exception that no rule knows is answered as an unreadable file, and logged."""

    def fail(data):
        raise ValueError("surprise")

    monkeypatch.setattr("pkgindex.upload.metadata.parse", fail)
    with pytest.raises(UnreadableArchive):
        upload(tmp_path, *dist.wheel())
