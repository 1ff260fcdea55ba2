"""The pages: an index with its projects, and a project with its files."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponsePermanentRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from pkgindex.accounts.identity import caller
from pkgindex.accounts.permissions import require
from pkgindex.accounts.roles import Action, Visibility, Who
from pkgindex.catalog.indexes import DEFAULT, find_index
from pkgindex.catalog.models import Project, ProjectStatus, Release
from pkgindex.catalog.names import is_normalized, is_valid_name, normalize
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import AuthenticationRequired, NotFound
from pkgindex.web import source
from pkgindex.web.answer import base_url, for_people
from pkgindex.web.lines import TOKEN_LINE, Address, install_lines, publish_lines
from pkgindex.web.pages import DESCRIPTION_LIMIT, STATUS_MEANING, VersionMark, facts, latest
from pkgindex.web.sight import indexes_seen, projects_seen, sees_whole


@require_safe
@for_people
def home(request: HttpRequest) -> HttpResponseBase:
    """The default index; for who may not see it, what this service is, how to sign in and how to use it."""
    who = caller(request)
    index = find_index(DEFAULT)
    if index is None or projects_seen(who, index) is None:
        return _welcome(request, who)
    return _index_page(request, who, index)


@require_safe
@for_people
def index_home(request: HttpRequest, slug: str) -> HttpResponseBase:
    """One index by its slug."""
    who = caller(request)
    return _index_page(request, who, _visible_index(who, slug))


@require_safe
@for_people
def project(request: HttpRequest, name: str, slug: str = DEFAULT) -> HttpResponseBase:
    """A project of an index; other spellings of its name lead to the normalised one."""
    if not is_normalized(name):
        return _to_normalized(request, name, slug)
    who = caller(request)
    index = find_index(slug)
    found = source.find_project(index.id, name) if index and is_valid_name(name) else None
    what = f"project '{name}'"
    if index is None:
        raise _unseen(who, what)
    require(who, Action.READ, index.project_place(name, found.pk if found else None), what, realm=index.slug)
    if found is None:
        raise NotFound(f"There is no {what} here, or you may not see it.")
    return render(request, "web/project.html", _project_context(request, who, index, found))


@require_safe
@for_people
def slashless(request: HttpRequest, **_: str) -> HttpResponseBase:
    """The same address with the slash that it lacks."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"{request.path}/" + (f"?{query}" if query else ""))


@require_safe
def robots(_: HttpRequest) -> HttpResponse:
    """RFC 9309: no crawler has business in a private index."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain; charset=utf-8")


def _to_normalized(request: HttpRequest, name: str, slug: str) -> HttpResponseBase:
    query = request.META.get("QUERY_STRING", "")
    kwargs = {"name": normalize(name)} | ({"slug": slug} if slug else {})
    address = reverse("index-project" if slug else "project", kwargs=kwargs)
    return HttpResponsePermanentRedirect(address + (f"?{query}" if query else ""))


def _unseen(who: Who, what: str) -> Exception:
    """Nobody learns which indexes exist: who has not signed in is asked to, whether or not there is something."""
    if who.is_anonymous:
        return AuthenticationRequired(f"Authentication is required to read {what}.")
    return NotFound(f"There is no {what} here, or you may not see it.")


def _visible_index(who: Who, slug: str) -> IndexView:
    index = find_index(slug)
    if index is None or projects_seen(who, index) is None:
        raise _unseen(who, f"index '{slug}'")
    if not sees_whole(who, index) and index.id not in {view.id for view in indexes_seen(who)}:
        raise _unseen(who, f"index '{slug}'")
    return index


def _address(request: HttpRequest, index: IndexView) -> Address:
    return Address(
        base=base_url(request),
        nickname=index.slug,
        path="" if index.is_default else f"/i/{index.slug}",
        public=index.visibility is Visibility.PUBLIC,
    )


def _common(who: Who, index: IndexView | None, address: Address) -> dict[str, Any]:
    root = reverse("home") if index is None or index.is_default else reverse("index-home", args=[index.slug])
    return {"who": who, "index": index, "root": root, "address": address, "token_line": TOKEN_LINE}


def _welcome(request: HttpRequest, who: Who) -> HttpResponse:
    address = Address(base=base_url(request), nickname="private")
    context = _common(who, None, address) | {
        "indexes": indexes_seen(who),
        "install": install_lines(address, "PROJECT"),
        "publish": publish_lines(address),
    }
    return render(request, "web/welcome.html", context)


def _index_page(request: HttpRequest, who: Who, index: IndexView) -> HttpResponse:
    seen = projects_seen(who, index)
    if seen is None:
        raise _unseen(who, f"index '{index.slug}'")
    asked = request.GET.get("q", "")
    query = source.clean_query(asked)
    address = _address(request, index)
    whole = None if seen else source.overview(index.id)
    context = _common(who, index, address) | {
        "asked": asked.strip()[: source.QUERY_LENGTH],
        "nothing_asked": bool(asked.strip()) and not query,
        "projects": source.find_projects(index.id, seen, query, request.GET.get("page", "")),
        "counts": whole,
        "recent": whole.recent if whole else source.recent_uploads(index.id, seen),
        "indexes": indexes_seen(who),
        "install": install_lines(address, "PROJECT"),
        "publish": publish_lines(address),
    }
    return render(request, "web/home.html", context)


def _project_context(request: HttpRequest, who: Who, index: IndexView, found: Project) -> dict[str, Any]:
    marks = source.versions_of(found)
    best = latest(marks)
    release = _chosen_release(request, found, best)
    address = _address(request, index)
    quarantined = found.status == ProjectStatus.QUARANTINED
    context = _common(who, index, address) | {
        "project": found,
        "meaning": STATUS_MEANING.get(found.status, ""),
        "quarantined": quarantined,
        "latest": best.version if best else "",
        "release": release,
        "release_total": len(marks),
        "releases": source.release_page(marks, request.GET.get("releases", "")),
        "manage": _manage_url(who, found),
    }
    return context | (_release_context(request, address, found, release, quarantined=quarantined) if release else {})


def _release_context(
    request: HttpRequest, address: Address, found: Project, release: Release, *, quarantined: bool
) -> dict[str, Any]:
    offered = not quarantined
    return {
        "facts": facts(release.metadata),
        "install": install_lines(address, f"{found.name}=={release.version}") if offered else (),
        "files": source.file_page(release, request.GET.get("files", "")) if offered else None,
        "description": release.description[:DESCRIPTION_LIMIT],
        "description_cut": len(release.description) > DESCRIPTION_LIMIT,
    }


def _chosen_release(request: HttpRequest, found: Project, best: VersionMark | None) -> Release | None:
    asked = request.GET.get("version", "")
    version = asked or (best.version if best else "")
    if not version:
        return None
    release = source.find_release(found, version)
    if release is None and asked:
        raise NotFound(f"There is no release {asked[:100]} of '{found.name}' here.")
    return release


def _manage_url(who: Who, found: Project) -> str:
    return reverse("admin:catalog_project_change", args=[found.pk]) if who.is_staff and who.token_id is None else ""
