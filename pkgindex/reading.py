"""What the doors that only read have in common: methods, errors, who may see what, and the headers of an answer."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt

from pkgindex.accounts.identity import identify
from pkgindex.accounts.permissions import require
from pkgindex.accounts.roles import Action, Verdict, Visibility, decide
from pkgindex.answers import plain
from pkgindex.catalog.indexes import find_index
from pkgindex.catalog.models import Project
from pkgindex.catalog.names import is_valid_name
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import AuthenticationRequired, InvalidRequest, NotFound, ServiceError
from pkgindex.nearcache import NearCache
from pkgindex.throttles import LimitReached

P = ParamSpec("P")
Response = TypeVar("Response", bound=HttpResponseBase)

METHODS = ("GET", "HEAD")
# Script in a page made of what users wrote must not run, whatever gets past the escaping.
PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox allow-top-navigation"
FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
LONGEST_NAME = 200  # characters; the column's length

_project_ids: NearCache[int] = NearCache("project-id", dump=int, restore=int)


class MethodNotAllowed(InvalidRequest):
    """The address is for reading."""

    code = "method_not_allowed"


def read_only(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Make a view answer GET and HEAD alone, and its errors as one line of text.

    Without CSRF protection, which would answer a mistaken upload with 403 and a page about cookies.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            if request.method not in METHODS:
                raise MethodNotAllowed("This is the index for reading; upload to /legacy/.")
            return view(request, *args, **kwargs)
        except LimitReached as error:
            return without_body(request, error.answer(request))
        except ServiceError as error:
            refusal = plain(error)
            if isinstance(error, MethodNotAllowed):
                refusal["Allow"] = ", ".join(METHODS)
            return without_body(request, refusal)

    return csrf_exempt(answer)


def readable_index(request: HttpRequest, slug: str, normalized_name: str = "") -> IndexView:
    """The index, when the caller may read it or, with a name, that project of it; the project need not exist.

    An index that does not exist is answered as a private one that the caller may not see. Raises
    AuthenticationRequired, InvalidCredentials, NotFound or Forbidden.
    """
    who, index = identify(request), find_index(slug)
    what = f"project '{normalized_name[:LONGEST_NAME]}'" if normalized_name else f"index '{slug or 'default'}'"
    if index is None:
        if who.is_anonymous:
            raise AuthenticationRequired(f"Authentication is required to read {what}.", realm=slug or "pkgindex")
        raise NotFound(f"There is no {what} here, or you may not see it.")
    place = index.project_place(normalized_name) if normalized_name else index.place
    if normalized_name and decide(who, Action.READ, place) is not Verdict.ALLOW and who.project_ranks:
        place = index.project_place(normalized_name, _project_id(index.id, normalized_name))
    require(who, Action.READ, place, what, realm=index.slug)
    return index


def _project_id(index_id: int, normalized_name: str) -> int | None:
    """For callers with a role on single projects: which one this is."""
    if len(normalized_name) > LONGEST_NAME or not is_valid_name(normalized_name):
        return None

    def load() -> int | None:
        rows = Project.objects.filter(index_id=index_id, normalized_name=normalized_name)
        return rows.values_list("id", flat=True).first()

    return _project_ids.get(f"{index_id}:{normalized_name}", load)


def cache_scope(visibility: Visibility) -> str:
    """The first word of Cache-Control: shared caches may keep what everyone may read."""
    return "public" if visibility is Visibility.PUBLIC else "private"


def page_headers(response: Response, index: IndexView, serial: int, *vary: str) -> Response:
    """Add what every answer about an index carries: it may be kept and must be asked about each time."""
    for name, value in page_fields(index.visibility, *vary).items():
        response[name] = value
    response["X-PyPI-Last-Serial"] = str(serial)
    return response


def page_fields(visibility: Visibility, *vary: str) -> dict[str, str]:
    """Those of `page_headers` that do not depend on the page."""
    found = {"Cache-Control": f"{cache_scope(visibility)}, max-age=0, must-revalidate"}
    varies = [*vary, *([] if visibility is Visibility.PUBLIC else ["Authorization"])]
    if varies:
        found["Vary"] = ", ".join(varies)
    return found | {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": PAGE_POLICY}


def precondition(request: HttpRequest, etag: str, last_modified: int | None = None) -> HttpResponse | None:
    """The 304 or 412 that the request's conditional headers call for, with its ETag; None to go on (RFC 9110, 13)."""
    answer = get_conditional_response(request, etag=etag, last_modified=last_modified)
    if answer is None:
        return None
    answer["ETag"] = etag
    return answer


def with_body(request: HttpRequest, body: bytes, content_type: str) -> HttpResponse:
    """The body, or for HEAD its length alone."""
    return without_body(request, HttpResponse(body, content_type=content_type))


def without_body(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Drop the body of an answer to HEAD and keep its length."""
    if request.method == "HEAD":
        response["Content-Length"] = str(len(response.content))
        response.content = b""
    return response


def moved(request: HttpRequest, path: str) -> HttpResponse:
    """301 to a path on the same host, so that the client sends its credentials there too; keeps the query."""
    query = request.META.get("QUERY_STRING", "")
    response = HttpResponsePermanentRedirect(f"{path}?{query}" if query else path)
    response["Cache-Control"] = "private, max-age=0, must-revalidate"
    return response
