"""From the names in an API address to a row that the caller may act on.

Whoever may not see a row is told the same as where there is none; an anonymous caller is asked for credentials
wherever something could be hidden.
"""

from packaging.version import InvalidVersion

from pkgindex.accounts.permissions import require, require_scope
from pkgindex.accounts.roles import Action, Scope, Visibility, Who
from pkgindex.catalog.indexes import find_index
from pkgindex.catalog.models import File, Index, Project, Release
from pkgindex.catalog.names import normalize, release_key
from pkgindex.catalog.policy import IndexView
from pkgindex.errors import AuthenticationRequired, NotFound


def index_view(who: Who, slug: str) -> IndexView:
    """The index of that slug, seen or not: who uses it must go on to `require`. Raises NotFound, to strangers 401."""
    view = find_index(slug) if slug else None
    if view is None:
        raise _missing(who, f"index '{slug}'")
    return view


def find_project(who: Who, action: Action, slug: str, name: str) -> Project:
    """The project, where `who` may do `action` to it. Raises AuthenticationRequired, NotFound or Forbidden."""
    view = index_view(who, slug)
    normalized = normalize(name)
    what = f"project '{name}'"
    project = Project.objects.filter(index_id=view.id, normalized_name=normalized).select_related("index").first()
    if project is None:
        raise _missing(who, what, view)
    require(who, action, view.project_place(normalized, project.pk), what)
    return project


def find_release(who: Who, action: Action, slug: str, name: str, version: str) -> Release:
    """The release, where `who` may do `action` to its project; any spelling of the version will do."""
    project = find_project(who, action, slug, name)
    try:
        rows = project.releases.filter(canonical_version=release_key(version))
    except InvalidVersion:
        rows = project.releases.none()
    release = rows.first()
    if release is None:
        raise NotFound(f"There is no release {version} of project '{name}' here.")
    release.project = project
    return release


def find_file(who: Who, action: Action, slug: str, name: str, filename: str) -> File:
    """The file of exactly that name, where `who` may do `action` to its project."""
    project = find_project(who, action, slug, name)
    rows = File.objects.filter(index_id=project.index_id, filename=filename, release__project=project)
    file = rows.select_related("release", "uploaded_by").defer("release__description", "release__metadata").first()
    if file is None:
        raise NotFound(f"There is no file '{filename}' of project '{name}' here.")
    file.release.project, file.index = project, project.index
    return file


def require_listing(who: Who, slug: str = "") -> None:
    """Return where a list, perhaps of one index, may be asked for; which rows it has is decided row by row.

    A known caller needs the scope `read`; an anonymous one is challenged where there is nothing public to list.
    """
    if not who.is_anonymous:
        require_scope(who, Scope.READ, "read lists")
        return
    public = Index.objects.filter(visibility=Visibility.PUBLIC.value)
    if not (public.filter(slug=slug) if slug else public).exists():
        raise AuthenticationRequired


def _missing(who: Who, what: str, view: IndexView | None = None) -> NotFound | AuthenticationRequired:
    if who.is_anonymous and (view is None or view.visibility is not Visibility.PUBLIC):
        return AuthenticationRequired(f"Authentication is required to read {what}.")
    return NotFound(f"There is no {what} here, or you may not see it.")
