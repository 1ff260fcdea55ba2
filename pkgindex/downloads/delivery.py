"""Ways to send a file's bytes from our own storage. A way is a function from a request and an Asset to a response.

`direct` streams from our own storage: a local file through the server's sendfile, anything else in blocks. `accel`
leaves the bytes, and with them ranges, to an nginx in front: the setting `ACCEL_REDIRECT_PREFIX` is the internal
location whose root is the storage's folder, such as `/blobs/`. nginx answers with its own ETag and Last-Modified, and
of our headers it passes on Cache-Control alone: that location must add nosniff, the policy and Vary itself. What the
bytes mean and who may have them is settled before.
"""

import io
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date

from pkgindex.answers import plain
from pkgindex.blobs import store
from pkgindex.downloads.ranges import RangeNotSatisfiable, Span, requested, still_same
from pkgindex.errors import ServiceError
from pkgindex.sending import Window, WindowResponse
from pkgindex.settled import settled

CONTENT_TYPE = "application/octet-stream"

log = logging.getLogger(__name__)


class BytesMissing(ServiceError):
    """The catalogue has the file and the storage does not."""

    code = "unavailable"


class Asset(NamedTuple):
    """Bytes to deliver: a file or its metadata. `size` is bytes, `modified` seconds since the epoch."""

    sha256: str
    size: int
    modified: int
    is_metadata: bool = False

    @property
    def etag(self) -> str:
        """A strong entity tag: the digest says which bytes these are."""
        return f'"{self.sha256}"'

    @property
    def last_modified(self) -> str:
        """As the Last-Modified field has it."""
        return _date(self.modified)


_date = lru_cache(maxsize=4_096)(http_date)

Way = Callable[[HttpRequest, Asset], HttpResponseBase]


def own(request: HttpRequest, asset: Asset) -> HttpResponseBase:
    """From here: by nginx where it can. Metadata by ourselves: a part of it must not cost nginx a second request."""
    return accel(request, asset) if goes_by_accel(own, asset) else direct(request, asset)


def goes_by_accel(way: Way, asset: Asset) -> bool:
    """Whether `way` leaves these bytes to nginx."""
    return way is own and bool(_accel_prefix()) and not asset.is_metadata


def accel_path(asset: Asset) -> str:
    """Where nginx finds the bytes."""
    return _accel_prefix().rstrip("/") + "/" + store.blob_name(asset.sha256)


@settled
def _accel_prefix() -> str:
    return str(settings.ACCEL_REDIRECT_PREFIX)


def accel(_request: HttpRequest, asset: Asset) -> HttpResponse:
    """Tell nginx which file to send."""
    response = HttpResponse(content_type=CONTENT_TYPE)
    response["X-Accel-Redirect"] = accel_path(asset)
    return response


def direct(request: HttpRequest, asset: Asset) -> HttpResponseBase:
    """Send the bytes, or the part that is asked for, from the storage. Raises BytesMissing."""
    try:
        span = span_of(request, asset)
    except RangeNotSatisfiable as error:
        return not_satisfiable(asset, error)
    part = span or Span(0, asset.size)
    window = Window(opened(asset), part.start, part.length)
    response: HttpResponseBase
    if request.method == "HEAD":
        window.close()
        response = HttpResponse(content_type=CONTENT_TYPE)
    else:
        response = WindowResponse(window, content_type=CONTENT_TYPE)
    return describe(response, asset, span)


def describe(response: HttpResponseBase, asset: Asset, span: Span | None) -> HttpResponseBase:
    """Say which part this is, and how long."""
    if span is not None:
        response.status_code = 206
        response["Content-Range"] = span.content_range(asset.size)
    response["Content-Length"] = str(span.length if span else asset.size)
    response["Accept-Ranges"] = "bytes"
    return response


def not_satisfiable(asset: Asset, error: RangeNotSatisfiable) -> HttpResponse:
    """416 with the size."""
    refusal = plain(error)
    refusal["Content-Range"] = f"bytes */{asset.size}"
    return refusal


def span_of(request: HttpRequest, asset: Asset) -> Span | None:
    """The part that is asked for; None for all of it. Raises RangeNotSatisfiable."""
    # A range is defined for GET alone; HEAD describes the whole file (RFC 9110 section 14.2).
    if request.method != "GET":
        return None
    if not still_same(request.META.get("HTTP_IF_RANGE"), asset.etag, asset.last_modified):
        return None
    return requested(request.META.get("HTTP_RANGE"), asset.size)


def opened(asset: Asset, path: str | None = None) -> Any:
    """The bytes, as many as promised: a short file would look like a broken connection. Raises BytesMissing.

    `path` is what `store.local_path` says, where the caller has asked already.
    """
    path = path or store.local_path(asset.sha256)
    try:
        file: Any = io.FileIO(path) if path else store.open_blob(asset.sha256).file
        size = file.seek(0, io.SEEK_END)
    except OSError as error:
        log.error("the bytes of blob %s cannot be read: %s", asset.sha256, error)  # noqa: TRY400 - no trace needed
        raise BytesMissing("The file is listed but its bytes are not in the storage; tell the operator.") from error
    if size != asset.size:
        file.close()
        log.error("blob %s has %s bytes in the storage, not %s", asset.sha256, size, asset.size)
        raise BytesMissing("The file is listed but the storage holds other bytes for it; tell the operator.")
    return file
