"""From the body of an upload request to its fields and one spooled file.

Django's parser does the multipart work (RFC 7578); here are our file handler, our bounds, and a sentence for
everything that can go wrong, because Django's own answers to these are pages for browsers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from pkgindex.upload.errors import FileTooLarge, InvalidUpload, RepeatedField
from pkgindex.upload.filenames import check_plain
from pkgindex.upload.patience import bounded
from pkgindex.upload.spool import Spool

CONTENT = "content"
IGNORED_FILES = frozenset({"gpg_signature", "attestations"})
FORM_BYTES = 32 << 20  # what a body may have beyond the file: fields, a signature, attestations
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
    handler = _ContentHandler(max_file_bytes, early)
    try:
        with bounded(request.META, silence=SILENCE, total=2 * SILENCE + length / SLOWEST):
            fields = _parse(request, body, handler)
        body.check_complete()
    except BaseException:
        handler.discard()
        raise
    return Form(fields, handler.filename, handler.spool)


def _parse(request: HttpRequest, body: "_Body", handler: "_ContentHandler") -> dict[str, list[str]]:
    try:
        parser = _Parser(request.META, body, [handler], "utf-8")  # type: ignore[arg-type] # it only ever calls read
        body.boundary = (request.content_params or {})["boundary"].encode()
        handler.fields = parser.fields
        parser.parse()
    except (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent) as error:
        raise InvalidUpload("The form is too large: it has too many fields, or fields that are too long.") from error
    except (MultiPartParserError, SuspiciousOperation, LookupError) as error:  # LookupError: an unknown charset
        # A body that was cut makes for strange parts: say what really happened.
        body.check_received(parsed=False)
        raise InvalidUpload("The form is not valid multipart/form-data.") from error
    return parser.fields()


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


class _Parser(MultiPartParser):
    """Django's parser, except that filenames come as they were sent: a bad one is refused, not repaired."""

    def fields(self) -> dict[str, list[str]]:
        """The text fields that have been read so far."""
        read: QueryDict | None = getattr(self, "_post", None)
        return {name: [str(value) for value in values] for name, values in read.lists()} if read is not None else {}

    def sanitize_file_name(self, file_name: str) -> str:
        """The name itself; `_ContentHandler` judges it."""
        return file_name


class _ContentHandler(FileUploadHandler):
    """Receives the part `content` into the spool, ignores what nobody needs, and refuses all other files."""

    chunk_size = PIECE

    def __init__(self, max_file_bytes: int, early: Early) -> None:
        super().__init__()
        self.filename = ""
        self.spool: Spool | None = None
        self.fields: Callable[[], Fields] = dict
        self._limit, self._early, self._receiving = max_file_bytes, early, False

    def new_file(self, field_name: str, file_name: str, content_type: str, *args: Any, **kwargs: Any) -> None:
        """Called by the parser where a part with a filename begins."""
        super().new_file(field_name, file_name, content_type, *args, **kwargs)
        self._receiving = field_name == CONTENT
        if field_name in IGNORED_FILES:
            return
        if not self._receiving:
            raise InvalidUpload(f"{field_name[:50]}: Should not be a tuple.")
        if self.spool is not None:
            raise RepeatedField("content: only one file can be uploaded at a time.")
        # flit sends no type at all, others what they guess from the name.
        if content_type.startswith("image/"):
            raise InvalidUpload("Invalid distribution file: its type is that of an image.")
        check_plain(file_name)
        self._early(self.fields(), file_name)
        self.filename, self.spool = file_name, Spool(self._limit)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:  # noqa: ARG002 - the parser's signature
        """Keep a piece of `content`; returning nothing tells the parser that no other handler wants it."""
        if self._receiving and self.spool is not None:
            self.spool.write(raw_data)

    def file_complete(self, file_size: int) -> None:  # noqa: ARG002 - the parser's signature
        """Nothing to hand to Django: the file is in the spool."""
        self._receiving = False

    def discard(self) -> None:
        """Delete what was received."""
        if self.spool is not None:
            self.spool.discard()
