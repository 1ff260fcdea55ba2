"""Which indexes, and which projects of one, a caller may see in lists.

Each list must agree with `pkgindex.accounts.roles.decide` about each of its rows; a test compares the two.
"""

from django.db.models import Q

from pkgindex.accounts.roles import Scope, Visibility, Who
from pkgindex.accounts.visibility import readable_indexes, readable_projects, token_limits
from pkgindex.catalog.models import Index, Project
from pkgindex.catalog.policy import IndexView

MOST_INDEXES = 200  # listed on a page


def projects_seen(who: Who, index: IndexView) -> Q | None:
    """The condition on the index's projects that `who` may read, empty for all of them.

    None where they may read none, whatever the index holds.
    """
    if index.visibility is Visibility.PUBLIC:
        return Q()
    if who.is_anonymous or Scope.READ not in who.scopes or not who.covers(index.id, None):
        return None
    limits = token_limits(who, "index_id", "normalized_name") if who.project_patterns else Q()
    if sees_whole(who, index):
        return limits
    return Q(pk__in=list(who.project_ranks)) & limits if who.project_ranks else None


def indexes_seen(who: Who) -> list[IndexView]:
    """The indexes that `who` may read, or may read a project of, by slug; at most MOST_INDEXES."""
    seen = readable_indexes(who)
    if seen and who.project_ranks:
        reached = Project.objects.filter(readable_projects(who), pk__in=list(who.project_ranks))
        seen |= Q(pk__in=reached.values("index_id"))
    return [row.view() for row in Index.objects.filter(seen).order_by("slug")[:MOST_INDEXES]]


def sees_whole(who: Who, index: IndexView) -> bool:
    """True where what `who` sees of the index does not hang on roles of single projects."""
    return index.visibility is not Visibility.PRIVATE or who.is_superuser or index.id in who.index_ranks
