"""Lists of copies that stay usable at a million rows: every filter has an order that an index already is in."""

import re
from collections.abc import Iterable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.functional import cached_property

from balancing.models import Replica, ReplicaState

_NAMES = ", ".join(f"'{state.value}'" for state in ReplicaState if state is not ReplicaState.VERIFIED)
UNDONE = RawSQL(f"state IN ({_NAMES})", (), output_field=BooleanField())  # noqa: S611 - only members of the enumeration
"""As the index balancing_replica_state: with parameters, SQLite does not recognise a partial index."""
DIGEST = re.compile(r"[0-9a-f]{8,64}")
MOST_COUNTED = 10_000
MOST_FOUND = 1_000


def order_of(given: Iterable[str]) -> tuple[str, ...]:
    """The order for a list that is filtered by these of `node`, `state` and `digest`."""
    filters = set(given)
    if "digest" in filters:
        return ("digest", "node_id")  # the unique constraint
    return ("digest",) if filters >= {"node", "state"} else ("id",)


def in_one_state(rows: "QuerySet[Replica]", state: str) -> "QuerySet[Replica]":
    """The copies in this state on any node. Verified ones are nearly all, so the table itself is the quickest index."""
    return rows.filter(state=state) if state == ReplicaState.VERIFIED else rows.filter(UNDONE, state=state)


def starting_with(rows: "QuerySet[Replica]", text: str) -> "QuerySet[Replica]":
    """The copies of files whose digest begins so; none for what begins no digest, or is shorter than 8 digits."""
    begin = text.strip().lower()
    if not DIGEST.fullmatch(begin):
        return rows.none()
    # A range, not LIKE: SQLite and other collations than C use no index for that. "g" follows the last digit. Found
    # first and by itself, or a database without statistics would rather walk through all copies of a node.
    found = Replica.objects.filter(digest__gte=begin, digest__lt=begin + "g").order_by("digest", "node_id")
    return rows.filter(pk__in=list(found.values_list("pk", flat=True)[:MOST_FOUND]))


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # it takes no parameters at run time
    """Counts no further than a page beyond `MOST_COUNTED` rows: what is further down is found by a filter."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, up to the limit."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # the stubs allow any sequence
        return int(rows.order_by()[:MOST_COUNTED].count())
