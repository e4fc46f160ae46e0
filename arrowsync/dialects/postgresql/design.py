"""The target table and each column's routes: pairs a source's forms with what PostgreSQL's columns take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pyarrow as pa

from arrowsync.core.contracts import Forms
from arrowsync.core.plan import ColumnPlan, Fidelity, Form, Route, Storage
from arrowsync.core.table import (
    Check,
    Column,
    Dependent,
    ForeignKey,
    Index,
    Key,
    NativeType,
    Serial,
    Table,
    TableName,
    UserType,
)
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.column_mapping import matched
from arrowsync.dialects.postgresql.checks import carried_check
from arrowsync.dialects.postgresql.constraint_options import renamed
from arrowsync.dialects.postgresql.defaults import carried_default
from arrowsync.dialects.postgresql.dependents import INHERITANCE
from arrowsync.dialects.postgresql.type_meaning import Difference, Named, Types, between, unknown
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.dialects.postgresql.write_types import Target, derive, store, watching_nul
from arrowsync.errors import ConfigError, SchemaError
from arrowsync.types.kinds import POSTGRESQL, kind

DIALECT = "postgresql"
BYTES = {"smallint": 2, "integer": 4, "bigint": 8}
SYSTEM_COLUMNS = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}  # oid is free since version 12
MOST_COLUMNS = 1600  # of a table; fewer fit a row where they are wide, which only its rows tell
_T = TypeVar("_T", Key, ForeignKey, Index)


def design(
    source: Table,
    forms: Forms,
    transfer: Transfer,
    name: TableName,
    existing: Table | None,
    replaced: Table | None = None,
    types: Sequence[UserType] = (),
) -> tuple[Table, tuple[ColumnPlan, ...]]:
    """See Dialect.design."""
    old = existing or replaced
    there = {type.name: type for type in (*(old.types if old else ()), *types)}
    if existing is None:
        target = _new_table(source, forms, transfer, name, there)
        target = replace(target, dependents=_staying(replaced) if replaced else ())
        pairs = list(zip(source.columns, target.columns, strict=True))
    else:
        target = existing
        pairs = matched(source, existing, transfer)
    fit = _Fit(source, target, transfer, there, is_new=target is not existing)
    plans = tuple(fit.plan(column, into, forms[column.name]) for column, into in pairs if not into.generated)
    return target, plans


# -- columns -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fit:
    """How columns of one table go into another; `there` are the target's types that people made."""

    source: Table
    target: Table
    transfer: Transfer
    there: Types
    is_new: bool

    def plan(self, column: Column, into: Column, forms: Sequence[Form]) -> ColumnPlan:
        found = self._differences(column, into)
        refused = any(each.kind == "other" or (each.kind == "lacks" and self.is_new) for each in found)
        routes = [] if refused else list(self._routes(column, into, forms, found))
        if not routes:
            raise self._unfit(column, into, found)
        return ColumnPlan(column, into, tuple(sorted(_as_planned(routes), key=_cost)))

    def _unfit(self, column: Column, into: Column, found: Sequence[Difference]) -> SchemaError:
        hint = f"Choose the type, e.g. cast={{{column.name!r}: 'text'}}, or convert it in a query"
        if found:
            text = f"--cast {column.name}=text (cast={{{column.name!r}: 'text'}})"
            hint = f"Make the types alike, or copy the text: {text}"
        return SchemaError(
            f"{column.type or 'this column'} does not fit {into.type}{': ' * bool(found)}{_all(found)}",
            table=str(self.target.name),
            column=column.name,
            hint=hint,
        )

    def _differences(self, column: Column, into: Column) -> list[Difference]:
        if self.source.dialect != DIALECT:
            return list(unknown(TypeName.parse(into.base or into.type).cast, column.origin, self.there))
        giving, taking = (Named.of(each.type, each.base) for each in (column, into))
        return list(between(giving, taking, {type.name: type for type in self.source.types}, self.there))

    def _routes(
        self, column: Column, into: Column, forms: Sequence[Form], found: Sequence[Difference]
    ) -> Iterator[Route]:
        taking = Named.of(into.type, into.base)
        kinds = {type.name: type.kind for type in (*self.source.types, *self.there.values())}
        target = Target(
            *taking,
            column.origin.name,
            kinds.get(taking.base.cast) == "enum",
            column.name in self.transfer.cast,
        )
        for form in forms:
            form = _of_base(form, column) if column.type == into.type else form
            if storage := store(form, target):
                storage = _guarded(storage, form, column, self.source, self.transfer)
                yield Route(form, _noting(storage, found))


def _of_base(form: Form, column: Column) -> Form:
    """The text of a domain as one of the type under it: the target's domain may be over another."""
    if column.base is None or form.arrow != pa.opaque(pa.string(), column.type, POSTGRESQL):
        return form
    return replace(form, arrow=pa.opaque(pa.string(), column.base, POSTGRESQL))


def _noting(storage: Storage, found: Sequence[Difference]) -> Storage:
    if not found or storage.fidelity is not Fidelity.EXACT:
        return storage
    return replace(storage, fidelity=Fidelity.WIDENED, reason=_all(found))


def _all(found: Sequence[Difference]) -> str:
    return "; ".join(each.text for each in found)


def _as_planned(routes: list[Route]) -> list[Route]:
    """Without the routes by which values that a better one refuses would lose more than the plan says."""
    losses = [route for route in routes if route.fidelity is Fidelity.LOSSY and not route.storage.agreed]
    exact = [route for route in routes if route.fidelity is Fidelity.EXACT]
    return (exact or losses) if losses else routes


def _cost(route: Route) -> tuple[int, bool]:
    """Exact routes first, and of those the ones that need no staging; else the forms' order."""
    return list(Fidelity).index(route.fidelity), route.storage.staging is not None


def _guarded(storage: Storage, form: Form, column: Column, source: Table, transfer: Transfer) -> Storage:
    """A text that PostgreSQL stored holds no U+0000; JSON with one is refused by the server."""
    is_text = kind(form.read) == "text"
    if source.dialect == DIALECT or not is_text or storage.arrow != pa.string():
        return storage
    return watching_nul(storage, column.name, transfer.nul)


# -- a new table -------------------------------------------------------------------------------------------


def _new_table(source: Table, forms: Forms, transfer: Transfer, name: TableName, there: Types) -> Table:
    """The source's table under its new names, with what PostgreSQL can carry of it."""
    new_names = {column.name: transfer.rename.get(column.name, column.name) for column in source.columns}
    _check_names([*new_names.values(), name.name])
    _check_columns(new_names)
    if len(set(new_names.values())) < len(new_names):
        raise ConfigError("rename gives two columns the same name", table=str(name))
    same = source.dialect == DIALECT
    # A key to the table itself follows it to its new name.
    moved = source.name if any(old != new for old, new in new_names.items()) or source.name != name else None
    key = source.primary_key and _key(source.primary_key, new_names, same)
    keyed = key.columns if key else ()
    columns = tuple(
        _new_column(column, forms[column.name], transfer, new_names, same) for column in source.columns
    )
    columns = tuple(_over(column, there) for column in columns)
    return Table(
        name,
        DIALECT,
        tuple(replace(column, nullable=column.nullable and column.name not in keyed) for column in columns),
        primary_key=key,
        unique=_kept(_key(key, new_names, same) for key in source.unique),
        checks=_checks(source, columns, new_names),
        foreign_keys=_kept(_foreign_key(key, new_names, same, moved) for key in source.foreign_keys),
        indexes=_kept(_index(index, new_names, same) for index in source.indexes),
        comment=source.comment,
        types=source.types if same else (),
    )


def _staying(old: Table) -> tuple[Dependent, ...]:
    """What the swap takes over to the new table."""
    return tuple(each for each in old.dependents if each.kind != INHERITANCE)


def _check_names(names: Iterable[str]) -> None:
    """The server cuts long names, so that a later append would not find the column."""
    for name in names:
        if not name or "\0" in name or len(name.encode()) > 63:
            raise SchemaError(
                f"PostgreSQL takes no name like {name!r}",
                hint="Names have 1 to 63 bytes: use rename or --target-table",
            )


def _check_columns(new_names: Mapping[str, str]) -> None:
    """What CREATE TABLE would refuse, when rows are already waiting."""
    if taken := next((old for old, new in new_names.items() if new in SYSTEM_COLUMNS), None):
        raise SchemaError(
            f"PostgreSQL has a system column {new_names[taken]!r} in every table",
            column=taken,
            hint=f"Use rename, e.g. rename={{{taken!r}: '{taken}_'}}",
        )
    if len(new_names) > MOST_COLUMNS:
        raise SchemaError(
            f"it has {len(new_names)} columns, and PostgreSQL takes {MOST_COLUMNS}",
            hint="Choose some with columns or exclude",
        )


def _new_column(
    column: Column, forms: Sequence[Form], transfer: Transfer, new_names: Mapping[str, str], same: bool
) -> Column:
    type = _new_type(column, forms, transfer)
    kept = same and column.name not in transfer.cast
    generated = column.generated if kept and carried(column.generated or "", new_names) else None
    default = column.default if kept else carried_default(column.default or "", type)
    identity = column.identity if type.cast in BYTES else None
    at_home = column.origin.dialect == DIALECT and column.name not in transfer.cast
    return Column(
        new_names[column.name],
        str(type),
        NativeType(DIALECT, str(type)),
        nullable=column.nullable and not identity,
        default=None if generated or identity else default,
        identity=identity,
        generated=generated,
        collation=column.collation if kept else None,
        comment=column.comment,
        base=column.base if at_home else None,
        virtual=bool(generated) and column.virtual,
        serial=column.serial if kept else _serial(column, type) if identity else None,
    )


def _over(column: Column, there: Types) -> Column:
    """The column over what lies under its domain in the target, where there is such a domain."""
    made = there.get(column.type)
    return replace(column, base=made.base) if made else column


def _serial(column: Column, type: TypeName) -> Serial | None:
    """The source's sequence with a name and a type of its own; the old type's bounds become the new one's."""
    old = column.serial
    if old is None:
        return None
    before, after = ((1 << 8 * BYTES[name] - 1) - 1 for name in (old.type, type.cast))
    most = after if old.maximum == before else min(old.maximum, after)
    least = -after - 1 if old.minimum == -before - 1 else max(old.minimum, -after - 1)
    return replace(
        old,
        name=TableName(""),
        type=type.cast,
        minimum=least,
        maximum=most,
        next=max(least, min(old.next, most)),
    )


def _new_type(column: Column, forms: Sequence[Form], transfer: Transfer) -> TypeName:
    if (wanted := transfer.cast.get(column.name)) is not None:
        return TypeName.parse(wanted)
    if column.origin.dialect == DIALECT:
        return TypeName.parse(column.origin.name)
    if type := next((type for form in forms if (type := derive(form.arrow))), None):
        return type
    raise SchemaError(
        f"PostgreSQL has no type for {forms[0].arrow}",
        column=column.name,
        hint="Choose one with cast, or a query",
    )


def carried(expression: str, new_names: Mapping[str, str]) -> bool:
    """Whether an expression may stand in the new table: it mentions no column that is renamed.

    Columns left out are not in `new_names` and make PostgreSQL itself refuse; the callers look at keys first.
    """
    return not any(old != new and old.casefold() in expression.casefold() for old, new in new_names.items())


def _kept(made: Iterable[_T | None]) -> tuple[_T, ...]:
    return tuple(part for part in made if part is not None)


def _key(key: Key, new_names: Mapping[str, str], same: bool) -> Key | None:
    if not all(name in new_names for name in key.columns):
        return None
    definition = renamed(key.definition, new_names) if same and key.definition else None
    columns = tuple(new_names[name] for name in key.columns)
    return Key(key.name, columns, definition, key.comment, key.constraint_options if definition else ())


def _checks(source: Table, columns: Sequence[Column], new_names: Mapping[str, str]) -> tuple[Check, ...]:
    if source.dialect == DIALECT:
        return tuple(check for check in source.checks if _is_kept(check, new_names))
    made = zip(source.columns, columns, strict=True)
    known = {old.name: (new.name, _compared(old, new)) for old, new in made}
    rules = [(check, carried_check(check.expression, source.dialect, known)) for check in source.checks]
    # Its definition would be the source's words, with the source's names.
    return tuple(
        replace(check, expression=rule, columns=(), definition=None) for check, rule in rules if rule
    )


def _compared(old: Column, new: Column) -> TypeName:
    """Whose values a check compares: a text with a collation that the new column lacks is no plain text."""
    return TypeName("citext") if old.collation else TypeName.parse(new.type)


def _is_kept(check: Check, new_names: Mapping[str, str]) -> bool:
    return all(name in new_names for name in check.columns) and carried(check.expression, new_names)


def _foreign_key(
    key: ForeignKey, new_names: Mapping[str, str], same: bool, moved: TableName | None
) -> ForeignKey | None:
    if not all(name in new_names for name in key.columns):
        return None
    columns = tuple(new_names[name] for name in key.columns)
    referenced = (
        tuple(new_names.get(name, name) for name in key.referenced)
        if key.references == moved
        else key.referenced
    )
    if same and columns == key.columns and key.references != moved:
        return key
    constraint_options = tuple(option for option in key.constraint_options if same and option == "match full")
    return replace(
        key, columns=columns, referenced=referenced, definition=None, constraint_options=constraint_options
    )


def _index(index: Index, new_names: Mapping[str, str], same: bool) -> Index | None:
    if not all(name in new_names for name in index.columns):
        return None
    if not index.columns or index.where:
        text = f"{index.definition} {index.where}"
        return index if same and carried(text, new_names) else None
    definition = renamed(index.definition, new_names) if same and index.definition else None
    columns = tuple(new_names[name] for name in index.columns)
    return replace(
        index,
        columns=columns,
        definition=definition,
        constraint_options=index.constraint_options if definition else (),
    )
