"""Statements of Django's ORM that are compiled once, for the few that each upload or installation needs: building costs
ten times what running does. The ORM stays the one place that knows tables, columns and dialects.

A statement is made with sample values, which its later values replace; they are texts and integers that occur nowhere
else in it.

`run` and `ask` take several statements at once: PostgreSQL gets them in one message, which saves a round trip each.
"""  # noqa: D205 - one sentence

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connection
from django.db.models import Field, Model, QuerySet
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery, UpdateQuery

M = TypeVar("M", bound=Model)

Make = Callable[..., QuerySet[Any, Any]]


class Statement(NamedTuple):
    """SQL and its values, to be sent by `run` or `ask`."""

    sql: str
    params: Sequence[Any]


# What needs no parameter: each costs the driver time, and for more than 50 psycopg reads a message anew each time.
CONSTANTS = {"": "''", True: "TRUE", False: "FALSE"}
COMMIT = Statement("COMMIT", ())
# By vendor, the key that the last INSERT gave its row. Not lastval(): the next row has taken a key of its own before.
LAST_KEY = {
    "postgresql": "currval(pg_get_serial_sequence('{table}', '{column}'))",
    "sqlite": "last_insert_rowid()",
}


def run(statements: Sequence[Statement], *, commits: bool = False) -> None:
    """Send statements that have nothing to say, in their order; inside a transaction, so that all of them hold or none.

    `commits` says that they are the last ones of the outermost transaction: where the database takes many in one
    message the commit goes with them, and Django's own finds nothing left to do. Raises what a single one would raise.
    """
    last = [COMMIT] if commits and statements and _takes_many() else []
    with connection.cursor() as cursor:
        for sql, params in _messages([*statements, *last]):
            cursor.execute(sql, params)


def ask(*statements: Statement) -> list[list[tuple[Any, ...]]]:
    """The rows of each, asked in their order; what one sees may be younger than what those before it saw."""
    found = []
    with connection.cursor() as cursor:
        for sql, params in _messages(statements):
            cursor.execute(sql, params)
            found.append(cursor.fetchall())
            while len(found) < len(statements) and _takes_many() and cursor.nextset():
                found.append(cursor.fetchall())
    return found


def _messages(statements: Sequence[Statement]) -> Sequence[Statement]:
    if len(statements) < 2 or not _takes_many():
        return statements
    params = [value for one in statements for value in one.params]
    return [Statement("; ".join(one.sql for one in statements), params)]


def _takes_many() -> bool:
    """True where one message may hold several statements: on PostgreSQL, unless it is to bind the values itself."""
    features: Any = connection.features
    return connection.vendor == "postgresql" and not features.uses_server_side_binding


class _Prepared(ABC):
    """SQL by database vendor, and which parameter is which value."""

    def __init__(self, make: Callable[..., Any], samples: Sequence[Any]) -> None:
        self._make, self._samples = make, tuple(samples)
        self._by_vendor: dict[str, tuple[str, tuple[tuple[int, Any], ...]]] = {}

    def statement(self, *values: Any) -> Statement:
        """The statement with those values, not sent yet."""
        found = self._by_vendor.get(connection.vendor)
        if found is None:
            found = self._by_vendor[connection.vendor] = self._compile()
        sql, places = found
        return Statement(sql, [constant if place < 0 else values[place] for place, constant in places])

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
        self._converters: dict[str, list[tuple[int, Any]]] = {}  # by vendor: the column, its converters and expression

    def __call__(self, *values: Any) -> list[tuple[Any, ...]]:
        """Every row, with values as models have them; those that `ask` gives are as the driver has them."""
        statement = self.statement(*values)
        with connection.cursor() as cursor:
            cursor.execute(*statement)
            rows = cursor.fetchall()
        converters = self._converters[connection.vendor]
        return [_converted(row, converters) for row in rows] if converters else rows

    def _sql(self) -> tuple[str, Sequence[Any]]:
        compiler = self._rows().query.get_compiler(connection.alias)
        sql, params = compiler.as_sql()
        found = compiler.get_converters([column[0] for column in compiler.select])
        self._converters[connection.vendor] = list(found.items())
        return str(sql), params

    def _rows(self) -> QuerySet[Any, Any]:
        return self._make(*self._samples)


class Objects(Select, Generic[M]):
    """As Select, of a queryset of whole objects; `beside` names a foreign key whose object comes with each."""

    def __init__(self, make: Make, *samples: Any, beside: str = "") -> None:
        super().__init__(make, *samples)
        self._beside = beside
        self._kinds: list[tuple[type[Model], list[str]]] = []  # what a row holds one after the other, by column

    def first(self, *values: Any) -> M | None:
        """The first object, None where there is none."""
        for row in self(*values):
            (kind, names), *others = self._kinds
            found: Any = kind.from_db(connection.alias, names, row[: len(names)])
            for other, columns in others:
                setattr(found, self._beside, other.from_db(connection.alias, columns, row[len(names) :]))
            return found
        return None

    def _rows(self) -> QuerySet[Any, Any]:
        rows: Any = super()._rows()
        paths = {"": rows.model}
        if self._beside:
            paths[f"{self._beside}__"] = rows.model._meta.get_field(self._beside).related_model  # noqa: SLF001 - public
        self._kinds = [(kind, [one.attname for one in kind._meta.concrete_fields]) for kind in paths.values()]  # noqa: SLF001 - public
        wanted = [path + name for path, (_, names) in zip(paths, self._kinds, strict=True) for name in names]
        return rows.values_list(*wanted)


def _converted(row: tuple[Any, ...], converters: list[tuple[int, Any]]) -> tuple[Any, ...]:
    values = list(row)
    for place, (each, expression) in converters:
        for convert in each:
            values[place] = convert(values[place], expression, connection)
    return tuple(values)


class Update(_Prepared):
    """`make` gives a queryset and the new values by column; the call gives how many rows were changed."""

    def __init__(self, make: Callable[..., tuple[QuerySet[Any, Any], dict[str, Any]]], *samples: Any) -> None:
        super().__init__(make, samples)

    def __call__(self, *values: Any) -> int:
        """How many rows were changed."""
        with connection.cursor() as cursor:
            cursor.execute(*self.statement(*values))
            return cursor.rowcount

    def _sql(self) -> tuple[str, Sequence[Any]]:
        rows, values = self._make(*self._samples)
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(values)
        sql, params = query.get_compiler(connection.alias).as_sql()
        return sql, params


class Insert(Generic[M]):
    """As `objects.create` of a model, without signals.

    A row whose primary key is there already is an error unless `renewed` names columns: they get their new values.
    """

    def __init__(self, model: type[M], renewed: Sequence[str] = ()) -> None:
        meta: Any = model._meta  # noqa: SLF001 - Django documents _meta as public
        self._model, self._key = model, meta.pk
        self._renewed = [meta.get_field(name) for name in renewed]
        self._returning = meta.db_returning_fields
        self._fields = [field for field in meta.concrete_fields if field not in self._returning]
        # SQL, and the fields that are its parameters, by vendor, RETURNING and the names of the values given
        self._by_kind: dict[tuple[str, bool, frozenset[str]], tuple[str, list[Any]]] = {}

    def __call__(self, **fields: Any) -> M:
        """The new object."""
        new = self._model(**fields)
        statement, _ = self._of(new, frozenset(fields), returning=True)
        with connection.cursor() as cursor:
            cursor.execute(*statement)
            if self._returning:
                (new.pk,) = cursor.fetchone()
        new._state.adding, new._state.db = False, connection.alias  # noqa: SLF001 - Django documents _state as public
        return new

    def statement(self, **fields: Any) -> Statement:
        """What inserts such an object and does not say which key it got, not sent yet."""
        statement, _ = self._of(self._model(**fields), frozenset(fields), returning=False)
        return statement

    def following(self, name: str, **fields: Any) -> Statement:
        """As `statement`; the foreign key `name` is the key that the INSERT right before it has given to its row."""
        (sql, params), varying = self._of(self._model(**fields), frozenset(fields), returning=False)
        place = [field.name for field in varying].index(name)
        to = varying[place]
        key = LAST_KEY[connection.vendor].format(
            table=to.related_model._meta.db_table,  # noqa: SLF001 - Django documents _meta as public
            column=to.target_field.column,
        )
        return Statement(_filled(sql, {place: key}), [*params[:place], *params[place + 1 :]])

    def _of(self, new: M, given: frozenset[str], *, returning: bool) -> tuple[Statement, list[Any]]:
        kind = connection.vendor, returning, given
        sql, varying = self._by_kind.get(kind) or self._compile(new, kind)  # first: it saves dates of its own in `new`
        params = [field.get_db_prep_save(field.pre_save(new, add=True), connection) for field in varying]
        return Statement(sql, params), varying

    def _compile(self, new: M, kind: tuple[str, bool, frozenset[str]]) -> tuple[str, list[Any]]:
        more: dict[str, Any] = {}
        if self._renewed:
            more = {"on_conflict": OnConflict.UPDATE, "update_fields": self._renewed, "unique_fields": [self._key]}
        query: Any = InsertQuery(self._model, **more)
        query.insert_values(self._fields, [new])
        compiler = query.get_compiler(connection.alias)
        compiler.returning_fields = self._returning if kind[1] else None
        ((sql, params),) = compiler.as_sql()
        if sql.count("%s") != len(self._fields) or len(params) != len(self._fields):
            raise ValueError(f"This cannot be inserted so: {sql}")
        constants = {
            place: CONSTANTS[field.default]
            for place, field in enumerate(self._fields)
            if {field.name, field.attname}.isdisjoint(kind[2]) and _is_constant(field)
        }
        varying = [field for place, field in enumerate(self._fields) if place not in constants]
        found = self._by_kind[kind] = _filled(sql, constants), varying
        return found


def _is_constant(field: Any) -> bool:
    """Whether a row that is given no value for the field has a simple one of its model, which SQL can hold as it is."""
    simple = isinstance(field.default, str | bool) and field.default in CONSTANTS  # 0 and 1 equal False and True
    return simple and type(field).pre_save is Field.pre_save


def _filled(sql: str, places: dict[int, str]) -> str:
    """The SQL with those of its placeholders, counted from 0, replaced."""
    first, *others = sql.split("%s")
    return first + "".join(places.get(place, "%s") + piece for place, piece in enumerate(others))
