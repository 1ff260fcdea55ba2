"""From the body of an upload request to its fields and one spooled file.

`multipart` does the parsing (RFC 7578), in a fraction of the time of Django's; here is what becomes of the parts,
our bounds, and a sentence for everything that can go wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, UnreadablePostError
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from pkgindex.upload.errors import FileTooLarge, InvalidUpload, RepeatedField
from pkgindex.upload.filenames import check_plain
from pkgindex.upload.patience import bounded
from pkgindex.upload.spool import Spool

CONTENT = "content"
IGNORED_FILES = frozenset({"gpg_signature", "attestations"})
FORM_BYTES = 32 << 20  # what a body may have beyond the file: fields, a signature, attestations
PLAIN_ENCODINGS = frozenset({"binary", "8bit", "7bit"})
TOO_MANY = "The form is too large: it has too many fields, or fields that are too long."
PIECE = 256 << 10  # bytes read at once: larger ones need more memory and are no faster
SILENCE = 60.0  # seconds that a client may pause
SLOWEST = 16 << 10  # bytes a second, over the whole body

Fields = Mapping[str, Sequence[str]]
Early = Callable[[Fields, str], None]


class LengthRequired(InvalidUpload):
    """A body without Content-Length, such as a chunked one: its end could not be told from a lost connection."""

    code = "length_required"


class UploadInterrupted(InvalidUpload):
    """The body ended before it was complete."""

    code = "upload_interrupted"


@dataclass(slots=True)
class Form:
    """What arrived. `spool` is None where the form has no file; whoever holds the form discards it."""

    fields: dict[str, list[str]]
    filename: str
    spool: Spool | None

    def discard(self) -> None:
        """Delete the spooled file if it is still there."""
        if self.spool is not None:
            self.spool.discard()


def check_head(request: HttpRequest, max_file_bytes: int) -> int:
    """The declared length of the body in bytes, judged by the request's headers alone.

    Raises LengthRequired, FileTooLarge, and InvalidUpload for a body that is no form.
    """
    given = request.META.get("CONTENT_LENGTH") or ""
    if request.META.get("HTTP_TRANSFER_ENCODING") or not given:
        raise LengthRequired("An upload needs a Content-Length header; chunked bodies are not accepted.")
    if not (given.isascii() and given.isdigit()):
        raise InvalidUpload("The Content-Length header is not a number.")
    length = int(given[:20])
    if length > max_file_bytes + FORM_BYTES:
        raise FileTooLarge(max_file_bytes)
    if request.content_type != "multipart/form-data":
        raise InvalidUpload("An upload is a form of the type multipart/form-data.")
    return length


def read_form(request: HttpRequest, max_file_bytes: int, early: Early) -> Form:
    """Read the whole body. `early(fields so far, filename)` may refuse when the file begins, before it is received.

    Raises subclasses of InvalidUpload for every body that cannot be used, whatever `early` raises, and OSError where
    the spool cannot be written; the spool is empty again then.
    """
    length = check_head(request, max_file_bytes)
    body = _Body(request, length)
    parts = _Parts(max_file_bytes, early)
    try:
        with bounded(request.META, silence=SILENCE, total=2 * SILENCE + length / SLOWEST):
            _parse(request, body, parts)
        body.check_complete()
    except BaseException:
        parts.discard()
        raise
    return Form(parts.fields, parts.filename, parts.spool)


def _parse(request: HttpRequest, body: "_Body", parts: "_Parts") -> None:
    try:
        boundary = (request.content_params or {}).get("boundary", "")
        most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + settings.DATA_UPLOAD_MAX_NUMBER_FILES
        parser = PushMultipartParser(boundary, max_segment_count=most)
        body.boundary = boundary.encode()
        while data := body.read(PIECE):
            for event in parser.parse(data):
                parts.hear(event)
    except ParserLimitReached as error:
        raise InvalidUpload(TOO_MANY) from error
    except (MultipartError, UnicodeEncodeError) as error:
        # A body that was cut makes for strange parts: say what really happened.
        body.check_received(parsed=False)
        raise InvalidUpload("The form is not valid multipart/form-data.") from error


class _Body:
    """The request's body for the parser; counts what it reads and remembers how it ended."""

    def __init__(self, request: HttpRequest, length: int) -> None:
        self._request, self._length, self._received, self._tail = request, length, 0, b""
        self._ended = False
        self.boundary = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end. Raises UploadInterrupted where the client pauses too long."""
        try:
            data = self._request.read(size)
        except UnreadablePostError as error:
            if isinstance(error.__cause__, TimeoutError):
                raise UploadInterrupted(f"Nothing was received for {SILENCE:.0f} seconds.") from error
            raise UploadInterrupted("The connection was lost before the upload was complete.") from error
        self._received += len(data)
        self._ended = not data
        self._tail = (self._tail + data[-256:])[-256:]
        return data

    def check_received(self, *, parsed: bool) -> None:
        """Raise UploadInterrupted where the connection ended before the declared length.

        Unless the form was `parsed` to its end, bytes may be missing only because nobody asked for them yet.
        """
        if (parsed or self._ended) and self._received < self._length:
            raise UploadInterrupted(
                f"The upload ended after {self._received} of {self._length} bytes, or took too long."
            )

    def check_complete(self) -> None:
        """Raise UploadInterrupted unless all was received and the form's closing delimiter is at its end."""
        self.check_received(parsed=True)
        if b"--" + self.boundary + b"--" not in self._tail:
            raise UploadInterrupted("The form ends in the middle: its closing boundary is missing.")


class _Parts:
    """Keeps text fields and the part `content`, ignores what nobody needs, and refuses all other files."""

    def __init__(self, max_file_bytes: int, early: Early) -> None:
        self.fields: dict[str, list[str]] = {}
        self.filename = ""
        self.spool: Spool | None = None
        self._limit, self._early = max_file_bytes, early
        self._count, self._files, self._bytes = 0, 0, 0
        self._take: Callable[[bytes], object] = _ignore
        self._text: tuple[str, list[bytes]] | None = None  # the field that is being read

    def hear(self, event: MultipartSegment | bytes | None) -> None:
        """A part begins, some of its bytes, or its end."""
        if event is None:
            self._end()
        elif isinstance(event, MultipartSegment):
            self._begin(event)
        else:
            self._take(event)

    def _begin(self, part: MultipartSegment) -> None:
        encoding = part.header("Content-Transfer-Encoding", "binary").lower()
        if encoding not in PLAIN_ENCODINGS:
            raise InvalidUpload("The form is not valid: RFC 7578 knows no Content-Transfer-Encoding in its parts.")
        self._take, name, filename = _ignore, (part.name or "").strip(), _filename_of(part)
        if filename is not None:
            self._files += 1
            self._begin_file(name, filename, part.content_type or "")
        elif name:
            self._text, self._take = (name, []), self._take_text
            self._count += 1
            self._bytes += len(name)
        most_fields, most_files = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS, settings.DATA_UPLOAD_MAX_NUMBER_FILES
        if self._count > most_fields or self._files > most_files:
            raise InvalidUpload(TOO_MANY)

    def _begin_file(self, name: str, filename: str, content_type: str) -> None:
        if not filename or name in IGNORED_FILES:
            return
        if name != CONTENT:
            raise InvalidUpload(f"{name[:50]}: Should not be a tuple.")
        if self.spool is not None:
            raise RepeatedField("content: only one file can be uploaded at a time.")
        # flit sends no type at all, others what they guess from the name.
        if content_type.startswith("image/"):
            raise InvalidUpload("Invalid distribution file: its type is that of an image.")
        check_plain(filename)
        self._early(dict(self.fields), filename)
        self.filename, self.spool = filename, Spool(self._limit)
        self._take = self.spool.write

    def _take_text(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise InvalidUpload(TOO_MANY)
        if self._text is not None:
            self._text[1].append(data)

    def _end(self) -> None:
        if self._text is not None:
            name, pieces = self._text
            self.fields.setdefault(name, []).append(b"".join(pieces).decode("utf-8", "replace"))
        self._text, self._take = None, _ignore

    def discard(self) -> None:
        """Delete what was received."""
        if self.spool is not None:
            self.spool.discard()


def _ignore(_data: bytes) -> None:
    """Of a part that nobody needs."""


def _filename_of(part: MultipartSegment) -> str | None:
    """The name as it was sent: a bad one is refused, not repaired. None for a field."""
    sent, filename = str(part.header("Content-Disposition", "")), part.filename
    if filename is None and "filename*" in sent.lower():
        raise InvalidUpload("Invalid filename: a form has 'filename', and no 'filename*' (RFC 7578 section 4.2).")
    if filename is not None and "\\" in sent:
        return sent.partition("filename=")[2].strip('"')
    return None if filename is None else str(filename)
