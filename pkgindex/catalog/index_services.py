"""Creating, changing and deleting an index; the only writes to its row but for the journal's own counter.

As in `services`, `who` is None where the caller has decided already, such as the admin site by Django's permissions.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from pkgindex.accounts.permissions import require, require_operator
from pkgindex.accounts.roles import Action, Who
from pkgindex.audit.record import Actor, record
from pkgindex.catalog.indexes import forget_index
from pkgindex.catalog.models import Index
from pkgindex.catalog.signals import copies_changed
from pkgindex.errors import Forbidden, InvalidRequest


def create_index(actor: Actor, who: Who | None, **fields: Any) -> Index:
    """Create an index; one that is to be the default takes the place of another. Raises InvalidRequest."""
    if who is not None:
        require_operator(who, "create an index")
    index = Index(**fields)
    _save(actor, index, "create index", fields)
    return index


def change_index(actor: Actor, who: Who | None, index: Index, **fields: Any) -> Index:
    """Set these fields of the index, its slug never. Raises InvalidRequest, and what `require` raises."""
    _require(who, index)
    if fields.get("slug", index.slug) != index.slug:
        raise InvalidRequest("The slug is part of addresses and cannot be changed.")
    if fields.get("is_default") and not index.is_default and who is not None and not who.is_superuser:
        raise Forbidden("Only administrators choose the default index.")
    changed = {name: value for name, value in fields.items() if getattr(index, name) != value}
    if changed:
        _save(actor, index, "change index", changed)
    return index


def delete_index(actor: Actor, who: Who | None, index: Index) -> None:
    """Delete an index that holds no projects. Raises InvalidRequest, and what `require_operator` raises."""
    if who is not None:
        require_operator(who, "delete an index")
    index_id, slug = index.pk, index.slug
    try:
        with transaction.atomic():
            index.delete()
            record(actor, "delete index", "index", slug)
            transaction.on_commit(lambda: forget_index(index_id, slug))
    except ProtectedError:
        raise InvalidRequest(f"The index '{slug}' still holds projects; delete them first.") from None


def _require(who: Who | None, index: Index) -> None:
    if who is not None:
        require(who, Action.OWN, index.view().place, f"index '{index.slug}'")


def _save(actor: Actor, index: Index, action: str, fields: dict[str, Any]) -> None:
    names = None if index.pk is None else list(fields)
    try:
        with transaction.atomic():
            for name, value in fields.items():
                setattr(index, name, value)
            if index.is_default:
                _give_up_default(index)
            index.full_clean()
            # last_serial belongs to the journal: a save of the whole row would take it back.
            index.save(update_fields=names)
            record(actor, action, "index", index.slug, **fields)
            pk, slug = index.pk, index.slug
            transaction.on_commit(lambda: forget_index(pk, slug))
            if "mirror_copies" in fields:
                transaction.on_commit(lambda: copies_changed.send_robust(sender=None, index_id=pk) and None)
    except ValidationError as error:
        raise InvalidRequest(" ".join(error.messages)) from None
    except IntegrityError:
        raise InvalidRequest(f"There is another index '{index.slug}', or another became the default.") from None


def _give_up_default(index: Index) -> None:
    for other in Index.objects.filter(is_default=True).exclude(pk=index.pk):
        Index.objects.filter(pk=other.pk).update(is_default=False)
        pk, slug = other.pk, other.slug
        transaction.on_commit(lambda pk=pk, slug=slug: forget_index(pk, slug))  # type: ignore[misc] # bound by default
