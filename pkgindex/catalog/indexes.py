"""Finding an index for a request, from the near cache."""

from typing import Any

from pkgindex.accounts.roles import Visibility
from pkgindex.catalog.models import Index
from pkgindex.catalog.policy import IndexPolicy, IndexView
from pkgindex.nearcache import NearCache

DEFAULT = ""  # asks for whichever index is the default one


def _dump(view: IndexView) -> dict[str, Any]:
    policy = {name: getattr(view.policy, name) for name in IndexPolicy.__slots__}
    return {
        "id": view.id,
        "slug": view.slug,
        "title": view.title,
        "visibility": view.visibility.value,
        "is_default": view.is_default,
        "policy": policy,
    }


def _restore(data: dict[str, Any]) -> IndexView:
    return IndexView(**data | {"visibility": Visibility(data["visibility"]), "policy": IndexPolicy(**data["policy"])})


_views: NearCache[IndexView] = NearCache("index", dump=_dump, restore=_restore)


def find_index(slug: str = DEFAULT) -> IndexView | None:
    """The index of that slug, or the default one; None where there is none."""

    def load() -> IndexView | None:
        wanted = Index.objects.filter(slug=slug) if slug else Index.objects.filter(is_default=True)
        row = wanted.first()
        return row.view() if row else None

    return _views.get(slug, load)


def index_at_hand(slug: str = DEFAULT) -> IndexView | None:
    """As `find_index` where this process knows without asking anybody; None where it does not."""
    return _views.at_hand(slug)


def find_index_by_id(index_id: int) -> IndexView | None:
    """The index with that id, None where it was deleted."""

    def load() -> IndexView | None:
        row = Index.objects.filter(pk=index_id).first()
        return row.view() if row else None

    return _views.get(f"#{index_id}", load)


def forget_index(index_id: int, *slugs: str) -> None:
    """Called on commit by whoever changes an index's row."""
    _views.forget(DEFAULT, f"#{index_id}", *slugs)
