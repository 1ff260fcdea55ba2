"""Finding an index for a request, from the near cache."""

from collections.abc import Iterable
from typing import Any

from pkgindex.accounts.roles import Visibility
from pkgindex.catalog.models import Index
from pkgindex.catalog.policy import IndexPolicy, IndexView
from pkgindex.nearcache import Missing, NearCache
from pkgindex.prepared import Objects

DEFAULT = ""  # asks for whichever index is the default one
BY_ID = "#"  # files ask by that; no slug begins so


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


_of_slug: Objects[Index] = Objects(lambda slug: Index.objects.filter(slug=slug), "a slug")
_of_id: Objects[Index] = Objects(lambda pk: Index.objects.filter(pk=pk), 987_654_321)
_of_nobody: Objects[Index] = Objects(lambda: Index.objects.filter(is_default=True))


def _load(key: str) -> IndexView | None:
    if key.startswith(BY_ID):
        row = _of_id.first(int(key.removeprefix(BY_ID)))
    else:
        row = _of_slug.first(key) if key else _of_nobody.first()
    return row.view() if row else None


class _Views(NearCache[IndexView]):
    def names(self, key: str, value: IndexView) -> Iterable[str]:
        return {key, value.slug, f"{BY_ID}{value.id}", *([DEFAULT] if value.is_default else [])}


_views = _Views("index", dump=_dump, restore=_restore, load=_load)


def find_index(slug: str = DEFAULT) -> IndexView | None:
    """The index of that slug, or the default one; None where there is none."""
    return _views.get(slug)


def index_at_hand(slug: str, missing: Missing) -> IndexView | None:
    """As `find_index` where this process knows without asking anybody; None where it does not."""
    return _views.at_hand(slug, missing)


def index_at_hand_by_id(index_id: int, missing: Missing) -> IndexView | None:
    """As `find_index_by_id` where this process knows without asking anybody; None where it does not."""
    return _views.at_hand(f"{BY_ID}{index_id}", missing)


def find_index_by_id(index_id: int) -> IndexView | None:
    """The index with that id, None where it was deleted."""
    return _views.get(f"{BY_ID}{index_id}")


def forget_index(index_id: int, *slugs: str) -> None:
    """Called on commit by whoever changes an index's row."""
    _views.forget(DEFAULT, f"{BY_ID}{index_id}", *slugs)
