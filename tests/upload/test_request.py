"""The form of an upload: what arrives whole, and a sentence for everything that does not."""

import hashlib
from io import BytesIO

import pytest
from django.core.handlers.wsgi import WSGIRequest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pkgindex.errors import ServiceError
from pkgindex.upload.request import FORM_BYTES, read_form
from tests.support.distributions import form, wheel
from tests.support.uploads import KIND, Part, fields_of, multipart, upload_body

LIMIT = 1 << 20


def request(body: bytes, *, length: object = None, kind: str = KIND, **more: str) -> WSGIRequest:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/legacy/",
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)) if length is None else str(length),
        "wsgi.input": BytesIO(body),
    }
    return WSGIRequest(environ | more)


def nothing_early(_fields, _filename) -> None:
    pass


def spooled(settings) -> list:
    return list(settings.SPOOL_DIR.iterdir()) if settings.SPOOL_DIR.exists() else []


def test_whole_form_is_spooled_and_hashed(settings):
    """Fields, the raw filename, the bytes and their three digests arrive; the folder is the service's alone."""
    content = bytes(range(256)) * 4000
    body = upload_body("acme-1.0-py3-none-any.whl", content, classifiers=["A", "B"])

    form_read = read_form(request(body), LIMIT * 4, nothing_early)

    file = form_read.spool.finish()
    assert form_read.filename == "acme-1.0-py3-none-any.whl"
    assert form_read.fields["classifiers"] == ["A", "B"]
    assert file.path.read_bytes() == content
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert file.md5 == hashlib.md5(content).hexdigest()
    assert file.blake2b == hashlib.blake2b(content, digest_size=32).hexdigest()
    assert settings.SPOOL_DIR.stat().st_mode & 0o777 == 0o700
    form_read.discard()
    assert spooled(settings) == []


@pytest.mark.parametrize("size", [0, 1, 255, 256 << 10, (256 << 10) + 1, (512 << 10) - 7, 900_001])
def test_any_size_arrives_unchanged(size):
    """Pieces, boundaries and line ends at awkward places are told apart, whatever the content ends with."""
    content = (b"\r\n--" * (size // 4 + 1))[:size]
    parts = [Part("content", content, "a.whl"), Part("attestations", b"[]"), Part("name", b"acme")]

    form_read = read_form(request(multipart(parts)), LIMIT, nothing_early)

    assert form_read.spool.finish().path.read_bytes() == content
    assert form_read.fields == {"attestations": ["[]"], "name": ["acme"]}
    form_read.discard()


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    piece=st.integers(1, 200),
    fields=st.lists(st.tuples(st.sampled_from(["name", "description", "keywords"]), st.text(max_size=60)), max_size=6),
    content=st.binary(max_size=300),
)
def test_any_form_arrives_unchanged(monkeypatch, piece, fields, content):
    """However the body is cut into pieces: texts of any letters, and bytes that look like boundaries."""
    monkeypatch.setattr("pkgindex.upload.request.PIECE", piece)
    texts = [(name, value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")) for name, value in fields]
    parts = [Part(name, value.encode()) for name, value in texts]

    form_read = read_form(request(multipart([*parts, Part("content", content, "a.whl")])), LIMIT, nothing_early)

    assert form_read.spool.finish().path.read_bytes() == content
    expected: dict[str, list[str]] = {}
    for name, value in texts:
        expected.setdefault(name, []).append(value)
    assert form_read.fields == expected
    form_read.discard()


def test_bytes_around_the_form_are_ignored(settings):
    """A preamble before the first boundary and an epilogue after the last (RFC 2046 section 5.1.1)."""
    form_read = read_form(request(b"preamble\r\n" + WHOLE + b"epilogue"), LIMIT, nothing_early)
    assert (form_read.fields, form_read.filename) == ({"name": ["acme"]}, "a.whl")
    form_read.discard()


def test_part_without_a_name_is_ignored():
    """As is a file input that nobody filled."""
    parts = [Part("", b"x"), Part("content", b"", ""), Part("content", b"bytes", "a.whl")]
    form_read = read_form(request(multipart(parts)), LIMIT, nothing_early)
    assert (form_read.fields, form_read.spool.finish().size) == ({}, 5)
    form_read.discard()


def test_file_part_without_type_is_accepted():
    """flit sends the file with no Content-Type."""
    parts = [Part("content", b"bytes", "acme-1.0.tar.gz", kind=None)]
    form_read = read_form(request(multipart(parts)), LIMIT, nothing_early)
    assert form_read.spool.finish().size == 5
    form_read.discard()


@pytest.mark.parametrize("name", ["gpg_signature", "attestations"])
def test_ignored_files_are_not_kept(settings, name):
    """A signature or attestation that comes as a file is read and thrown away."""
    parts = [Part(name, b"x" * 100_000, "x.asc"), Part("content", b"bytes", "a.whl"), Part(name, b"y", "y.asc")]
    form_read = read_form(request(multipart(parts)), LIMIT, nothing_early)
    assert form_read.spool.finish().path.read_bytes() == b"bytes"
    assert len(spooled(settings)) == 1
    form_read.discard()


def test_form_without_file_has_no_spool(settings):
    """A form of text fields alone makes no file."""
    form_read = read_form(request(multipart(fields_of({":action": "submit"}))), LIMIT, nothing_early)
    assert form_read.spool is None
    assert spooled(settings) == []


def test_early_check_hears_fields_and_filename():
    """The check at the beginning of the file sees what came before it, and only that."""
    heard = []
    parts = [Part("name", b"acme"), Part("content", b"bytes", "a.whl"), Part("version", b"1")]
    read_form(request(multipart(parts)), LIMIT, lambda *seen: heard.append(seen)).discard()
    assert heard == [({"name": ["acme"]}, "a.whl")]


CONTENT = Part("content", b"bytes", "a.whl")
WHOLE = multipart([Part("name", b"acme"), CONTENT])
UNUSABLE = {
    "slash in the filename": (multipart([Part("content", b"x", "../a.whl")]), {}, "Invalid filename '../a.whl'"),
    "backslash in the filename": (multipart([Part("content", b"x", "..\\\\a.whl")]), {}, "Invalid filename"),
    "escaped slash in the filename": (multipart([Part("content", b"x", "&#47;a.whl")]), {}, "Invalid filename"),
    "control character in the filename": (multipart([Part("content", b"x", "a\x01.whl")]), {}, "Invalid filename"),
    "two files": (multipart([CONTENT, CONTENT]), {}, "content: only one file"),
    "text field as a file": (multipart([Part("name", b"acme", "name"), CONTENT]), {}, "name: Should not be a tuple."),
    "image": (multipart([Part("content", b"x", "a.whl", kind="image/png")]), {}, "Invalid distribution file"),
    "file over the limit": (multipart([Part("content", b"x" * (LIMIT + 1), "a.whl")]), {}, "File too large."),
    "length over the limit": (WHOLE, {"length": LIMIT + FORM_BYTES + 1}, "File too large."),
    "too many fields": (multipart([Part("a", b"")] * 5_100), {}, "The form is too large"),
    "too long fields": (multipart([Part("a", b"x" * (17 << 20))]), {}, "The form is too large"),
    "too many files": (multipart([Part("attestations", b"", "a")] * 101), {}, "The form is too large"),
    "huge part header": (multipart([Part("a" * 5_000, b"")]), {}, "The form is too large"),
    "base64": (
        multipart([Part("content", b"YWJj", "a.whl", headers=("Content-Transfer-Encoding: base64",))]),
        {},
        "The form is not valid: RFC 7578 knows no Content-Transfer-Encoding",
    ),
    "path of Windows": (multipart([Part("content", b"x", "C:\\x\\a.whl")]), {}, "Invalid filename 'C:"),
    "filename in another coding": (
        WHOLE.replace(b'filename="a.whl"', b"filename*=utf-8''a.whl"),
        {},
        "Invalid filename: a form has 'filename'",
    ),
    "part of another kind": (WHOLE.replace(b"form-data;", b"attachment;"), {}, "The form is not valid"),
    "part without a disposition": (WHOLE.replace(b"Content-Disposition", b"X-Other"), {}, "The form is not valid"),
    "header that is none": (
        WHOLE.replace(b"Content-Disposition:", b"Content-Disposition"),
        {},
        "The form is not valid",
    ),
    "no boundary": (WHOLE, {"kind": "multipart/form-data"}, "The form is not valid"),
    "other boundary": (WHOLE, {"kind": "multipart/form-data; boundary=other"}, "The form ends in the middle"),
    "not a form": (b"{}", {"kind": "application/json"}, "An upload is a form"),
    "no length": (b"", {"length": ""}, "An upload needs a Content-Length"),
    "chunked": (WHOLE, {"HTTP_TRANSFER_ENCODING": "chunked"}, "An upload needs a Content-Length"),
    "negative length": (WHOLE, {"length": -1}, "The Content-Length header is not a number."),
    "length of other digits": (WHOLE, {"length": "٣"}, "The Content-Length header is not a number."),
    "endless length": (WHOLE, {"length": "9" * 5_000}, "File too large."),
    "empty body": (b"", {"length": 0}, "The form ends in the middle"),
    "no closing boundary": (WHOLE[:-4] + b"\r\n", {}, "The form ends in the middle"),
    "cut in the file": (WHOLE[:-60], {"length": len(WHOLE)}, f"The upload ended after {len(WHOLE) - 60} of"),
    "cut in a header": (WHOLE[:150], {"length": len(WHOLE)}, "The upload ended after 150 of"),
    "cut at the last byte": (WHOLE[:-1], {"length": len(WHOLE)}, "The upload ended after"),
    "cut at once": (b"", {"length": len(WHOLE)}, "The upload ended after 0 of"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_body_is_refused_with_a_sentence(settings, case):
    """Every way in which a body can be wrong raises our error, never Django's, and leaves no spool file."""
    body, options, sentence = UNUSABLE[case]
    with pytest.raises(ServiceError) as refused:
        read_form(request(body, **options), LIMIT, nothing_early)
    assert refused.value.sentence.startswith(sentence)
    assert spooled(settings) == []


def test_every_cut_is_noticed(settings):
    """Wherever a connection is lost, nothing is taken for whole."""
    filename, content = wheel()
    body = multipart([*fields_of(form(filename, content)), Part("content", content, filename), Part("z", b"last")])
    for end in range(0, len(body), 13):
        with pytest.raises(ServiceError):
            read_form(request(body[:end], length=len(body)), LIMIT, nothing_early)
    assert spooled(settings) == []


def test_refusal_by_early_check_spools_nothing(settings):
    """What the early check raises comes out, and the file was not even begun."""

    def refuse(_fields, _filename) -> None:
        raise ServiceError("No.")

    with pytest.raises(ServiceError, match="No"):
        read_form(request(WHOLE), LIMIT, refuse)
    assert spooled(settings) == []
