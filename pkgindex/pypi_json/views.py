"""PyPI's JSON API: the latest release of a project with all files, or one release."""

import hashlib
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix

from pkgindex.accounts.roles import Visibility
from pkgindex.catalog.names import is_normalized, is_valid_name, normalize
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import NotFound
from pkgindex.pypi_json.build import build
from pkgindex.pypi_json.source import load
from pkgindex.reading import LONGEST_NAME, moved, page_headers, precondition, read_only, readable_index, with_body


@read_only
def document(request: HttpRequest, name: str, slug: str = "", version: str | None = None) -> HttpResponse:
    """What is known of a project or of one of its releases."""
    normalized = normalize(name)
    index = readable_index(request, slug, normalized)
    if len(name) > LONGEST_NAME or not is_valid_name(name):
        raise NotFound("This is not a name that a project can have.")
    if not is_normalized(name):
        return moved(request, _path(slug, normalized, version))
    try:
        # Who works here is not the business of everybody who reads a public index.
        found = load(index.id, normalized, version, with_roles=index.visibility is not Visibility.PUBLIC)
    except ValueError:  # not a version, or one with more digits than a number may have
        found = None
    if found is None:
        raise NotFound(f"There is no {_what(normalized, version)} here.")
    root = f"{settings.PUBLIC_URL}/" if settings.PUBLIC_URL else request.build_absolute_uri(get_script_prefix())
    body = build(found, root, _people_page(root, index, normalized))
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    response = precondition(request, etag)
    if response is None:
        response = with_body(request, body, "application/json")
        response["ETag"] = etag
    return page_headers(response, index, found.serial)


def _what(name: str, version: str | None) -> str:
    return f"release '{version[:LONGEST_NAME]}' of project '{name}'" if version else f"project '{name}'"


def _path(slug: str, name: str, version: str | None) -> str:
    top = f"{get_script_prefix()}i/{slug}/pypi/{name}/" if slug else f"{get_script_prefix()}pypi/{name}/"
    return f"{top}{quote(version, safe='')}/json" if version else f"{top}json"


def _people_page(root: str, index: IndexView, name: str) -> str:
    return f"{root}p/{name}/" if index.is_default else f"{root}i/{index.slug}/p/{name}/"
