"""The policies of an index, spellings that are accepted, and what comes out of an accepted upload."""

import hashlib

import pytest

from pkgindex.catalog.policy import IndexPolicy
from pkgindex.upload import filenames
from pkgindex.upload.errors import InvalidFilename, InvalidName, InvalidUpload
from pkgindex.upload.examine import check_early, examine
from pkgindex.upload.submission import Submission
from tests.support import distributions as dist
from tests.support.spoiled import fields_of, spooled, upload, with_file

PLATFORMS = [
    "any", "win32", "win_amd64", "win_arm64", "macosx_10_9_x86_64", "macosx_11_0_arm64", "macosx_10_6_intel",
    "manylinux1_x86_64", "manylinux2014_aarch64", "manylinux_2_28_x86_64", "musllinux_1_2_riscv64", "linux_armv7l",
    "ios_13_0_arm64_iphoneos", "android_21_arm64_v8a", "pyodide_2024_0_wasm32", "emscripten_4_0_9_wasm32",
    "linux_x86_64",
]  # fmt: skip
WHEEL = "acme-1.0-py3-none-any.whl"


def test_an_accepted_wheel(tmp_path):
    """The distribution is described by what is inside the archive, to the byte where clients verify it."""
    filename, content = dist.wheel("Ac.Me", "1.0.0", "Requires-Python: >=3.8", "Summary: Hi", tag="cp311-abi3-win32")
    accepted = upload(tmp_path, filename, content, name="ac_me", version="v1.0")
    assert (accepted.filename, accepted.packagetype, accepted.python_version) == (filename, "bdist_wheel", "cp311")
    assert (accepted.name, accepted.normalized_name) == ("Ac.Me", "ac-me")
    assert (accepted.version, accepted.release_key) == ("1.0.0", "1")
    assert (accepted.requires_python, accepted.summary) == (">=3.8", "Hi")
    assert accepted.metadata_file == dist.metadata("Ac.Me", "1.0.0", "Requires-Python: >=3.8", "Summary: Hi")


def test_an_accepted_sdist(tmp_path):
    """An sdist is for `source`; flit's form, which has no pyversion, is accepted as twine's is."""
    filename, content = dist.sdist()
    for pyversion in ("source", None):
        accepted = upload(tmp_path, filename, content, pyversion=pyversion)
        assert (accepted.packagetype, accepted.python_version) == ("sdist", "source")


def test_a_file_without_a_form(tmp_path):
    """An import has the filename alone: the same rules run, and no digest is asked for."""
    for filename, content in (dist.wheel("ac-me", "2.0"), dist.sdist("ac-me", "2.0")):
        accepted = examine(Submission.from_file(filename), spooled(tmp_path, content), IndexPolicy())
        assert (accepted.normalized_name, accepted.version) == ("ac-me", "2.0")
    with pytest.raises(InvalidFilename):
        Submission.from_file("README.txt")
    with pytest.raises(InvalidFilename):
        Submission.from_file("acme.tar.gz")


def test_white_space_and_repetition_in_a_form():
    """Values are stripped; the same value twice is one value; `UNKNOWN` is none."""
    filename, content = dist.wheel()
    form = dist.form(
        filename, content, name=[" acme ", "acme"], sha256_digest=hashlib.sha256(content).hexdigest().upper()
    )
    claims = Submission.from_fields(fields_of(form | {"version": "\t1.0\n", "md5_digest": "UNKNOWN"}), filename)
    assert (claims.name, claims.version) == ("acme", "1.0")
    assert set(claims.digests) == {"sha256_digest", "blake2_256_digest"}


def test_digests_in_capitals(tmp_path):
    """Hexadecimal has no case."""
    filename, content = dist.wheel()
    assert upload(tmp_path, filename, content, sha256_digest=hashlib.sha256(content).hexdigest().upper())


@pytest.mark.parametrize(
    ("policy", "refused_by"),
    [
        ({"allow_local_versions": False}, "local_version"),
        ({"allow_linux_platform": False}, "platform_refused"),
        ({"allow_direct_references": False}, "direct_reference"),
        ({"allow_unknown_classifiers": False}, "invalid_classifier"),
        ({}, None),
    ],
)
def test_policies_are_independent(tmp_path, policy, refused_by):
    """A wheel that only a private index takes is taken by default, and refused by exactly the switch that is off."""
    lines = ("Requires-Dist: a @ https://example.org/a.whl", "Classifier: Made :: Up")
    filename, content = dist.wheel("acme", "1.0+team.1", *lines, tag="py3-none-linux_x86_64")
    code = None
    try:
        upload(tmp_path, filename, content, IndexPolicy(**policy), version="1.0+team.1")
    except InvalidUpload as error:
        code = error.code
    assert code == refused_by


def test_private_classifiers_always_pass(tmp_path):
    """`Private ::` is how a project says that it must not reach a public index."""
    content = dist.wheel("acme", "1.0", "Classifier: Private :: Do Not Upload")[1]
    assert upload(tmp_path, WHEEL, content, IndexPolicy(allow_unknown_classifiers=False))


@pytest.mark.parametrize(
    ("name", "version", "filename"),
    [
        ("Ac.me_X", "1.0", "ac_me_x-1.0.tar.gz"),
        ("ac-me", "1.0", "ac-me-1.0.tar.gz"),
        ("ac.me", "1.0", "Ac.Me-1.0.tar.gz"),
        ("acme", "1.0b2", "acme-1.0-beta-2.tar.gz"),
        ("acme", "1.0+team.1", "acme-1.0+team.1.tar.gz"),
        ("acme", "1!2.0", "acme-1!2.0.tar.gz"),
        ("acme", "1.0", "acme-1.0.0.tar.gz"),
        ("acme-2", "1.0", "acme-2-1.0.tar.gz"),
        ("acme", "1.0", "Acme-1.0-py2.py3-none-any.whl"),
        ("ac.me", "1.0", "ac.me-1.0-py3-none-any.whl"),
        ("acme", "1.0", "acme-1.0-5build-py3-none-any.whl"),
        ("acme", "1.0", "acme-1.0.0-py3-none-any.whl"),
    ],
)
def test_spellings_of_filenames(name, version, filename):
    """Older spellings of the same project and version are the same project and version."""
    is_wheel = filename.endswith(".whl")
    claims = Submission(filename, "bdist_wheel" if is_wheel else "sdist", "", "2.1", name, version)
    check_early(claims, IndexPolicy())


@pytest.mark.parametrize("platform", PLATFORMS)
def test_platforms(platform):
    """Every kind of platform that installers know, alone and beside another."""
    claims = Submission(f"acme-1.0-cp313-cp313-{platform}.win32.whl", "bdist_wheel", "cp313", "2.1", "acme", "1.0")
    check_early(claims, IndexPolicy())


@pytest.mark.parametrize("platform", ["any2", "linux", "manylinux", "manylinux_2_x86_64", "macosx_arm64", "ANY", ""])
def test_unknown_platforms(platform):
    """What only looks like a platform tag is none."""
    assert not filenames.is_known_platform(platform)
    assert not filenames.is_linux(platform)


def test_a_script_keeps_its_capitals(tmp_path):
    """entry_points.txt of real tools: groups of any name, comments, duplicates, no value on extras."""
    text = b"# hi\n[console_scripts]\nAcme = acme:main [x]\nAcme = acme:main\n\n[acme.plug-ins]\na.b = c:d\n"
    assert upload(tmp_path, WHEEL, with_file("entry_points.txt", text))


def test_a_bad_form_is_refused_before_the_file_is_read():
    """`check_early` needs no file at all."""
    with pytest.raises(InvalidName):
        check_early(Submission(WHEEL, "bdist_wheel", "py3", "2.1", "-acme", "1.0"), IndexPolicy())


def test_an_unknown_filetype_is_refused_early():
    """Also where a submission was made by hand."""
    with pytest.raises(Exception, match="Invalid file extension"):
        check_early(Submission(WHEEL, "bdist_egg", "py3", "2.1", "acme", "1.0"), IndexPolicy())


def test_record_need_not_match(tmp_path):
    """PyPI only warns about a RECORD that does not list the members, and old wheels have such."""
    assert upload(tmp_path, WHEEL, with_file("RECORD", b"other.py,,\n\nacme-1.0.dist-info/RECORD,,\n"))
