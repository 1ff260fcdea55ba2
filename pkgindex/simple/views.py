"""The simple repository API: parse, decide who may read, answer ready bytes. A hit needs no SQL and no template."""

from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix

from pkgindex.catalog.names import is_normalized, is_valid_name, normalize
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import NotFound
from pkgindex.reading import (
    LONGEST_NAME,
    moved,
    page_headers,
    precondition,
    read_only,
    readable_index,
    with_body,
)
from pkgindex.simple.negotiate import OFFERS, TEXT_HTML, Encoding, choose_encoding, choose_type
from pkgindex.simple.pagecache import PageKey, fetch
from pkgindex.simple.serialize import Format
from pkgindex.throttles import admit_page


@read_only
def root(request: HttpRequest, slug: str = "") -> HttpResponse:
    """The list of projects of an index."""
    index = readable_index(request, slug)
    if not request.path.endswith("/"):
        return moved(request, _path(slug))
    return _page(request, index, "", _wanted_type(request))


@read_only
def detail(request: HttpRequest, name: str, slug: str = "") -> HttpResponse:
    """The files of a project. Names in another spelling are sent to the normalised one, existing or not."""
    normalized = normalize(name)
    index = readable_index(request, slug, normalized)
    _check_name(name)
    if not is_normalized(name) or not request.path.endswith("/"):
        return moved(request, _path(slug, normalized))
    return _page(request, index, normalized, _wanted_type(request))


@read_only
def listing(request: HttpRequest, name: str, slug: str = "") -> HttpResponse:
    """The files of a project in HTML, where hatch looks for what it need not upload again."""
    normalized = normalize(name)
    index = readable_index(request, slug, normalized)
    _check_name(name)
    return _page(request, index, normalized, TEXT_HTML)


def _page(request: HttpRequest, index: IndexView, name: str, content_type: str) -> HttpResponse:
    encoding = choose_encoding(request.META.get("HTTP_ACCEPT_ENCODING"))
    form = OFFERS[content_type]
    page = PageKey(index.id, name, form, get_script_prefix())
    ready = fetch(page, encoding, admit_page(request, page.version_key))
    if ready is None:
        raise NotFound(f"There is no project '{name}' here." if name else "There is no such index.")
    response = precondition(request, ready.etag)
    if response is None:
        charset = "; charset=utf-8" if form is Format.HTML else ""
        response = with_body(request, ready.body, content_type + charset)
        response["ETag"] = ready.etag
        if encoding is not Encoding.IDENTITY:
            response["Content-Encoding"] = encoding.value
    return page_headers(response, index, ready.serial, "Accept", "Accept-Encoding")


def _wanted_type(request: HttpRequest) -> str:
    return choose_type(request.META.get("HTTP_ACCEPT"), request.GET.get("format"))


def _check_name(name: str) -> None:
    if len(name) > LONGEST_NAME or not is_valid_name(name):
        raise NotFound("This is not a name that a project can have.")


def _path(slug: str, name: str = "") -> str:
    top = f"{get_script_prefix()}i/{slug}/simple/" if slug else f"{get_script_prefix()}simple/"
    return f"{top}{name}/" if name else top
