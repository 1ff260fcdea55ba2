"""Statements of Django's ORM that are compiled once: for the few that every upload needs, building costs ten times what
running does. The ORM stays the one place that knows tables, columns and dialects.

A statement is made with sample values, which its later values replace; they are texts and integers that occur nowhere
else in it. What it selects comes as the driver gives it, so no dates and no JSON.
"""  # noqa: D205 - one sentence

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.sql import InsertQuery, UpdateQuery

M = TypeVar("M", bound=Model)

Make = Callable[..., QuerySet[Any, Any]]


class _Prepared(ABC):
    """SQL by database vendor, and which parameter is which value."""

    def __init__(self, make: Callable[..., Any], samples: Sequence[Any]) -> None:
        self._make, self._samples = make, tuple(samples)
        self._by_vendor: dict[str, tuple[str, tuple[tuple[int, Any], ...]]] = {}

    def _statement(self, values: Sequence[Any]) -> tuple[str, list[Any]]:
        found = self._by_vendor.get(connection.vendor)
        if found is None:
            found = self._by_vendor[connection.vendor] = self._compile()
        sql, places = found
        return sql, [constant if place < 0 else values[place] for place, constant in places]

    def _compile(self) -> tuple[str, tuple[tuple[int, Any], ...]]:
        sql, params = self._sql()
        places = tuple((self._samples.index(one), None) if one in self._samples else (-1, one) for one in params)
        if {place for place, _ in places if place >= 0} != set(range(len(self._samples))):
            raise ValueError(f"Not every sample is a parameter of {sql}")
        return sql, places

    @abstractmethod
    def _sql(self) -> tuple[str, Sequence[Any]]:
        """The statement with the samples as its values."""


class Select(_Prepared):
    """`Select(lambda name: Model.objects.filter(name=name).values_list("id"), "sample")("real")` gives the rows."""

    def __init__(self, make: Make, *samples: Any) -> None:
        super().__init__(make, samples)

    def __call__(self, *values: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        with connection.cursor() as cursor:
            cursor.execute(*self._statement(values))
            return cursor.fetchall()

    def _sql(self) -> tuple[str, Sequence[Any]]:
        sql, params = self._make(*self._samples).query.get_compiler(connection.alias).as_sql()
        return str(sql), params


class Update(_Prepared):
    """`make` gives a queryset and the new values by column; the call gives how many rows were changed."""

    def __init__(self, make: Callable[..., tuple[QuerySet[Any, Any], dict[str, Any]]], *samples: Any) -> None:
        super().__init__(make, samples)

    def __call__(self, *values: Any) -> int:
        """How many rows were changed."""
        with connection.cursor() as cursor:
            cursor.execute(*self._statement(values))
            return cursor.rowcount

    def _sql(self) -> tuple[str, Sequence[Any]]:
        rows, values = self._make(*self._samples)
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(values)
        sql, params = query.get_compiler(connection.alias).as_sql()
        return sql, params


class Insert(Generic[M]):
    """As `objects.create` of a model, without signals."""

    def __init__(self, model: type[M]) -> None:
        meta: Any = model._meta  # noqa: SLF001 - Django documents _meta as public
        self._model, self._key = model, meta.pk
        self._returning = meta.db_returning_fields
        self._fields = [field for field in meta.concrete_fields if field not in self._returning]
        self._by_vendor: dict[str, str] = {}

    def __call__(self, **fields: Any) -> M:
        """The new object."""
        new = self._model(**fields)
        sql = self._by_vendor.get(connection.vendor) or self._compile(new)  # first: it saves dates of its own in `new`
        params = [field.get_db_prep_save(field.pre_save(new, add=True), connection) for field in self._fields]
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            if self._returning:
                (new.pk,) = cursor.fetchone()
        new._state.adding, new._state.db = False, connection.alias  # noqa: SLF001 - Django documents _state as public
        return new

    def _compile(self, new: M) -> str:
        query: Any = InsertQuery(self._model)
        query.insert_values(self._fields, [new])
        compiler = query.get_compiler(connection.alias)
        compiler.returning_fields = self._returning
        ((sql, params),) = compiler.as_sql()
        if sql.count("%s") < len(self._fields) or len(params) < len(self._fields):
            raise ValueError(f"This cannot be inserted so: {sql}")
        self._by_vendor[connection.vendor] = sql
        return str(sql)
