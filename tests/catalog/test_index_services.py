"""Creating, changing and deleting indexes."""

import pytest

from pkgindex.accounts.roles import ALL_SCOPES
from pkgindex.accounts.whois import who_of_user
from pkgindex.audit.models import AuditEntry
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.index_services import change_index, create_index, delete_index
from pkgindex.catalog.indexes import find_index
from pkgindex.catalog.models import Index
from pkgindex.errors import Forbidden, InvalidRequest, NotFound
from tests.support.catalogue import add_wheel

pytestmark = pytest.mark.django_db(transaction=True)


def test_new_default_takes_the_place(index):
    """One index is the default; the near cache follows at once in this process."""
    assert find_index().slug == "main"

    create_index(SYSTEM, None, slug="next", is_default=True)

    assert find_index().slug == "next"
    assert not find_index("main").is_default
    assert AuditEntry.objects.get(action="create index").detail == {"slug": "next", "is_default": True}


def test_change_holds_at_once_and_keeps_serials(index):
    """A changed setting is seen by the next request; what was written meanwhile is not set back."""
    assert find_index("main").visibility.value == "private"
    stale = Index.objects.get()
    add_wheel(index)
    serial = Index.objects.get().last_serial

    change_index(SYSTEM, None, stale, visibility="public")

    assert find_index("main").visibility.value == "public"
    assert Index.objects.get().last_serial == serial > 0


@pytest.mark.parametrize("slug", ["", "Main", "a_b", "-a", "a-", "a/b", "a" * 51, "a\n", "ä"])
def test_bad_slugs(db, slug):
    """A slug is part of a path: lower-case letters, digits and dashes."""
    with pytest.raises(InvalidRequest, match=r"\S"):
        create_index(SYSTEM, None, slug=slug)


def test_slug_in_use(index):
    """Two indexes never share an address."""
    with pytest.raises(InvalidRequest, match="already"):
        create_index(SYSTEM, None, slug="main")


def test_delete_only_without_projects(index):
    """An index with projects stays; an empty one goes and is forgotten."""
    other = create_index(SYSTEM, None, slug="other")
    add_wheel(index)
    assert find_index("other") is not None

    with pytest.raises(InvalidRequest, match="still holds projects"):
        delete_index(SYSTEM, None, index)
    delete_index(SYSTEM, None, other)

    assert find_index("other") is None
    assert Index.objects.get() == index


@pytest.mark.parametrize("persona", ["stranger", "reader", "maintainer"])
def test_owners_and_administrators_only(people, index, persona):
    """Nobody below an owner changes an index, and creating one is for administrators."""
    who = who_of_user(getattr(people, persona))

    for work in (
        lambda: create_index(SYSTEM, who, slug="x"),
        lambda: change_index(SYSTEM, who, index, visibility="public"),
        lambda: delete_index(SYSTEM, who, index),
    ):
        with pytest.raises((Forbidden, NotFound)):
            work()
    assert Index.objects.get().visibility == "private"
    assert who.scopes == ALL_SCOPES
