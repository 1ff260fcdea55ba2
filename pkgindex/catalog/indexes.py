"""Finding an index for a request, from the near cache."""

import time
from typing import Any

from django.db.models import QuerySet

from pkgindex.accounts.roles import Visibility
from pkgindex.catalog.models import Index
from pkgindex.catalog.policy import IndexPolicy, IndexView
from pkgindex.nearcache import Missing, NearCache

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
        "delivery": view.delivery,
        "mirror_policy": view.mirror_policy,
    }


def _restore(data: dict[str, Any]) -> IndexView:
    return IndexView(**data | {"visibility": Visibility(data["visibility"]), "policy": IndexPolicy(**data["policy"])})


_views: NearCache[IndexView] = NearCache("index", dump=_dump, restore=_restore)


def find_index(slug: str = DEFAULT) -> IndexView | None:
    """The index of that slug, or the default one; None where there is none."""

    def load() -> IndexView | None:
        now = time.monotonic()
        view = _view(Index.objects.filter(slug=slug) if slug else Index.objects.filter(is_default=True))
        if view is not None:
            _views.learn({f"#{view.id}": view}, now)  # files ask by that
        return view

    return _views.get(slug, load)


def index_at_hand(slug: str, missing: Missing) -> IndexView | None:
    """As `find_index` where this process knows without asking anybody; None where it does not."""
    return _views.at_hand(slug, missing)


def index_at_hand_by_id(index_id: int, missing: Missing) -> IndexView | None:
    """As `find_index_by_id` where this process knows without asking anybody; None where it does not."""
    return _views.at_hand(f"#{index_id}", missing)


def find_index_by_id(index_id: int) -> IndexView | None:
    """The index with that id, None where it was deleted."""
    return _views.get(f"#{index_id}", lambda: _view(Index.objects.filter(pk=index_id)))


def _view(rows: QuerySet[Index]) -> IndexView | None:
    row = rows.first()
    return row.view() if row else None


def forget_index(index_id: int, *slugs: str) -> None:
    """Called on commit by whoever changes an index's row."""
    _views.forget(DEFAULT, f"#{index_id}", *slugs)
