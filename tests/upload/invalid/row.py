"""A row of the table, and short ways to write one."""

from dataclasses import dataclass, field

from pkgindex.catalog.policy import IndexPolicy
from tests.support import distributions as dist
from tests.support.spoiled import wheel_with_metadata

WHEEL = "acme-1.0-py3-none-any.whl"
SDIST = "acme-1.0.tar.gz"
LIKE_PYPI = IndexPolicy(
    allow_local_versions=False,
    allow_linux_platform=False,
    allow_direct_references=False,
    allow_unknown_classifiers=False,
)


@dataclass
class Row:
    """An upload, and the code and words with which it is refused."""

    title: str
    code: str
    words: str
    content: bytes = field(default_factory=lambda: dist.wheel()[1], repr=False)
    filename: str = WHEEL
    form: dict[str, object] = field(default_factory=dict)
    policy: IndexPolicy = field(default_factory=IndexPolicy)


def form(title: str, code: str, words: str, filename: str = WHEEL, policy: IndexPolicy | None = None, **fields) -> Row:
    content = dist.wheel()[1] if filename.endswith(".whl") else dist.sdist()[1]
    return Row(title, code, words, content, filename, fields, policy or IndexPolicy())


def zipped(title: str, words: str, content: bytes, code: str = "invalid_zip") -> Row:
    return Row(title, code, words, content)


def wheel(title: str, words: str, content: bytes, code: str = "invalid_wheel") -> Row:
    return Row(title, code, words, content)


def tarred(title: str, words: str, content: bytes, code: str = "invalid_tar") -> Row:
    return Row(title, code, words, content, SDIST)


def meta(title: str, words: str, *lines: str, code: str = "invalid_metadata", policy=None, core="2.1") -> Row:
    content = wheel_with_metadata(dist.metadata("acme", "1.0", *lines, core=core))
    return Row(title, code, words, content, policy=policy or IndexPolicy())
