"""Wrong in the form or in the filename."""

from dataclasses import replace

from pkgindex.catalog.policy import IndexPolicy
from tests.support import distributions as dist
from tests.support.spoiled import wheel_with_metadata
from tests.upload.invalid.row import LIKE_PYPI, SDIST, Row, form

FORM = [
    form("submit is gone", "gone", "no longer", **{":action": "submit"}),
    form("submit_pkg_info is gone", "gone", "no longer", **{":action": "submit_pkg_info"}),
    form("doc_upload is gone", "gone", "no longer", **{":action": "doc_upload"}),
    form("unknown action", "unknown_action", "'file_upload'", **{":action": "delete"}),
    form("no action", "unknown_action", "'file_upload'", **{":action": None}),
    form("protocol 2", "unknown_protocol_version", "Unknown protocol version.", protocol_version="2"),
    form("no name", "missing_field", "name: This field is required.", name=""),
    form("name is UNKNOWN", "missing_field", "name:", name="UNKNOWN"),
    form("no version", "missing_field", "version:", version=None),
    form("no metadata version", "missing_field", "metadata_version:", metadata_version=None),
    form("no filetype", "missing_field", "filetype:", filetype=None),
    form("two names", "repeated_field", "name: given more than once", name=["acme", "other"]),
    form("metadata 3.0", "unknown_metadata_version", "'3.0' is not a valid", metadata_version="3.0"),
    form("egg", "unknown_filetype", "Unknown type of file", filetype="bdist_egg"),
    form("wheel without pyversion", "invalid_pyversion", "Python version is required", pyversion=""),
    form("sdist with pyversion", "invalid_pyversion", "'source'", SDIST, pyversion="3.11"),
    form("no digest", "invalid_digest", "at least one", sha256_digest=None, blake2_256_digest=None),
    form("short digest", "invalid_digest", "sha256_digest", sha256_digest="abc"),
    form("digest not hexadecimal", "invalid_digest", "md5_digest", md5_digest="z" * 32),
    form("other sha256", "digest_mismatch", "sha256_digest", sha256_digest="0" * 64),
    form("other blake2", "digest_mismatch", "blake2_256_digest", blake2_256_digest="0" * 64),
    form("other md5", "digest_mismatch", "does not match", md5_digest="0" * 32),
    form("bad name", "invalid_name", "Invalid name", name="-acme"),
    form("non-ASCII name", "invalid_name", "ASCII", name="acmé"),
    form("name with line feed inside", "invalid_name", "Invalid name", name="ac\nme"),
    form("long name", "invalid_name", "Invalid name", name="a" * 201),
    form("bad version", "invalid_version", "PEP 440", version="one"),
    form("long version", "invalid_version", "longer", version="1." * 150 + "0"),
    form("local version by policy", "local_version", "local versions", version="1.0+x", policy=LIKE_PYPI),
    form("too large", "file_too_large", "File too large", policy=IndexPolicy(max_file_bytes=10)),
    replace(form("empty file", "empty_file", "empty"), content=b""),
]

FILENAMES = [
    form("slash", "invalid_filename", "Invalid filename", "../acme-1.0-py3-none-any.whl", pyversion="py3"),
    form("backslash", "invalid_filename", "Invalid filename", "x\\acme-1.0-py3-none-any.whl", pyversion="py3"),
    form("line feed", "invalid_filename", "Invalid filename", "acme-1.0-py3-none-any\n.whl", pyversion="py3"),
    form("NUL", "invalid_filename", "Invalid filename", "acme-1.0-py3\0-none-any.whl", pyversion="py3"),
    form("hidden", "invalid_filename", "Invalid filename", ".acme-1.0.tar.gz"),
    form("non-ASCII", "invalid_filename", "Invalid filename", "acmé-1.0-py3-none-any.whl"),
    form("endless", "invalid_filename", "longer than 250", "acme-1.0-py3-none-" + "a" * 250 + ".whl"),
    form("no tags", "invalid_filename", "Invalid wheel filename", "acme-1.0-py3.whl"),
    form("too many parts", "invalid_filename", "Invalid wheel filename", "acme-x-1.0-1-py3-none-any.whl"),
    form("empty tag", "invalid_filename", "Invalid wheel filename", "acme-1.0-py3..py2-none-any.whl"),
    form("version not PEP 440", "invalid_filename", "Invalid wheel filename", "acme-one-py3-none-any.whl"),
    form("wheel as sdist", "unknown_filetype", "'*.tar.gz'", filetype="sdist", pyversion="source"),
    form("sdist as wheel", "unknown_filetype", "'*.whl'", SDIST, filetype="bdist_wheel", pyversion="py3"),
    form("zip sdist", "unknown_filetype", "'*.tar.gz'", "acme-1.0.zip"),
    form("tgz sdist", "unknown_filetype", "'*.tar.gz'", "acme-1.0.tgz"),
    form("wheel of another", "filename_mismatch", "'other-1.0", "other-1.0-py3-none-any.whl"),
    form("wheel of another version", "filename_mismatch", "'1.0'", "acme-1.1-py3-none-any.whl"),
    form("sdist of another", "filename_mismatch", "'acme'", "acme2-1.0.tar.gz"),
    form("sdist of another version", "filename_mismatch", "'1.0'", "acme-1.0.1.tar.gz"),
    form("unknown platform", "platform_refused", "'plan9_mips'", "acme-1.0-py3-none-plan9_mips.whl"),
    form("one platform of two", "platform_refused", "'beos'", "acme-1.0-py3-none-any.beos.whl"),
    form("linux by policy", "platform_refused", "linux_x86_64", "acme-1.0-py3-none-linux_x86_64.whl", LIKE_PYPI),
    form("metadata of another", "metadata_mismatch", "'acme'", "acme2-1.0-py3-none-any.whl", name="acme2"),
]
FILENAMES[-1].content = dist.zip_of(
    {name.replace("acme-1.0.d", "acme2-1.0.d"): data for name, data in dist.wheel_members().items()}
)
FILENAMES.append(
    Row(
        "metadata of another version",
        "metadata_mismatch",
        "'1.1'",
        wheel_with_metadata(dist.metadata("acme", "1.1")),
    )
)
