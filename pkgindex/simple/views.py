"""The simple repository API: parse, decide who may read, answer ready bytes. A hit needs no SQL and no template."""

import io

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import get_script_prefix

from pkgindex.catalog.names import is_normalized, is_valid_name, normalize
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import NotFound, ServiceError
from pkgindex.reading import (
    LONGEST_NAME,
    moved,
    page_headers,
    precondition,
    read_only,
    readable_index,
    with_body,
)
from pkgindex.sending import Window, WindowResponse
from pkgindex.simple.lru import Ready
from pkgindex.simple.negotiate import OFFERS, TEXT_HTML, Encoding, choose_encoding, choose_type, full_type
from pkgindex.simple.pagecache import PageKey, fetch, forget
from pkgindex.throttles import admit_page

MOST_TRIES = 3


class Unsettled(ServiceError):
    """Each file of a page was gone before it could be opened."""

    code = "unavailable"


@read_only
def root(request: HttpRequest, slug: str = "") -> HttpResponseBase:
    """The list of projects of an index."""
    index = readable_index(request, slug)
    if not request.path.endswith("/"):
        return moved(request, _path(slug))
    return _page(request, index, "", _wanted_type(request))


@read_only
def detail(request: HttpRequest, name: str, slug: str = "") -> HttpResponseBase:
    """The files of a project. Names in another spelling are sent to the normalised one, existing or not."""
    normalized = normalize(name)
    index = readable_index(request, slug, normalized)
    _check_name(name)
    if not is_normalized(name) or not request.path.endswith("/"):
        return moved(request, _path(slug, normalized))
    return _page(request, index, normalized, _wanted_type(request))


@read_only
def listing(request: HttpRequest, name: str, slug: str = "") -> HttpResponseBase:
    """The files of a project in HTML, where hatch looks for what it need not upload again."""
    normalized = normalize(name)
    index = readable_index(request, slug, normalized)
    _check_name(name)
    return _page(request, index, normalized, TEXT_HTML)


def _page(request: HttpRequest, index: IndexView, name: str, content_type: str) -> HttpResponseBase:
    encoding = choose_encoding(request.META.get("HTTP_ACCEPT_ENCODING"))
    page = PageKey(index.id, name, OFFERS[content_type], get_script_prefix())
    beside = admit_page(request, page.version_keys)
    for _ in range(MOST_TRIES):
        ready = fetch(page, encoding, beside)
        if ready is None:
            raise no_project(name) if name else NotFound("There is no such index.")
        try:
            response = precondition(request, ready.etag) or _body(request, ready, full_type(content_type), encoding)
        except FileNotFoundError:  # a newer page has taken its place since
            forget(page, encoding)
            beside = None
            continue
        return page_headers(response, index, ready.serial, "Accept", "Accept-Encoding")
    raise Unsettled("This page changes faster than it can be sent; ask again.")


def no_project(name: str) -> NotFound:
    """What is told to whoever asks for a project that there is not."""
    return NotFound(f"There is no project '{name}' here.")


def _body(request: HttpRequest, ready: Ready, content_type: str, encoding: Encoding) -> HttpResponse | WindowResponse:
    response: HttpResponse | WindowResponse
    if ready.path is None:
        response = with_body(request, ready.body, content_type)
    elif request.method == "HEAD":
        response = HttpResponse(content_type=content_type)
        response["Content-Length"] = str(ready.size)
    else:
        window = Window(io.FileIO(ready.path), 0, ready.size)  # raises FileNotFoundError where it is not there any more
        response = WindowResponse(window, content_type=content_type)
        response["Content-Length"] = str(ready.size)
    response["ETag"] = ready.etag
    if encoding is not Encoding.IDENTITY:
        response["Content-Encoding"] = encoding.value
    return response


def _wanted_type(request: HttpRequest) -> str:
    return choose_type(request.META.get("HTTP_ACCEPT"), request.GET.get("format"))


def _check_name(name: str) -> None:
    if len(name) > LONGEST_NAME or not is_valid_name(name):
        raise NotFound("This is not a name that a project can have.")


def _path(slug: str, name: str = "") -> str:
    top = f"{get_script_prefix()}i/{slug}/simple/" if slug else f"{get_script_prefix()}simple/"
    return f"{top}{name}/" if name else top
