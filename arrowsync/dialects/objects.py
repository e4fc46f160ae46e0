"""What any ADBC driver tells of its tables: names and keys by GetObjects, types by the schema of no rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from arrowsync.core.contracts import Connection
from arrowsync.core.table import Column, Key, Table, TableName
from arrowsync.dialects.arrow_columns import StoredColumn
from arrowsync.dialects.arrow_types import DIALECT
from arrowsync.errors import ArrowsyncError, ConfigError, SchemaError, TransientError

_CATALOG, _SCHEMA = "adbc.connection.catalog", "adbc.connection.db_schema"
_SYSTEM = ("information_schema", "pg_catalog", "performance_schema", "sys")  # not everybody marks them so

Kind = Literal["table", "view"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A table or view that the catalogue lists; `columns` in its order, empty where it tells none."""

    name: TableName
    kind: Kind
    columns: tuple[Mapping[str, Any], ...] = ()  # Any: of Arrow structs
    constraints: tuple[Mapping[str, Any], ...] = ()

    def is_nullable(self, name: str) -> bool:
        """Whether the catalogue does not say the opposite."""
        told = [column for column in self.columns if column["column_name"] == name]
        return not any(column.get("xdbc_is_nullable") == "NO" for column in told)

    def keys(self, kind: str) -> tuple[Key, ...]:
        return tuple(
            Key(each.get("constraint_name"), tuple(each["constraint_column_names"] or ()))
            for each in self.constraints
            if each["constraint_type"] == kind
        )


def default_schema(connection: Connection) -> str | None:
    return connection.option(_SCHEMA)


def listed(
    connection: Connection, depth: Literal["tables", "all"] = "tables", **named: str
) -> Iterator[Listed]:
    """The current catalogue's tables and views that are nobody's own."""
    if catalog := connection.option(_CATALOG):
        named["catalog_filter"] = catalog
    for found in connection.objects(depth, **named):
        if catalog not in (None, found["catalog_name"]):
            continue  # the filter is a pattern
        for schema in found["catalog_db_schemas"] or ():
            if str(schema["db_schema_name"]).lower() not in _SYSTEM:
                yield from _tables(schema)


def _tables(schema: Mapping[str, Any]) -> Iterator[Listed]:
    for table in schema["db_schema_tables"] or ():
        kind = str(table["table_type"]).upper()
        if "SYSTEM" in kind or "TEMPORARY" in kind or not ("TABLE" in kind or "VIEW" in kind):
            continue
        columns = sorted(table["table_columns"] or (), key=lambda column: column["ordinal_position"] or 0)
        yield Listed(
            TableName(table["table_name"], schema["db_schema_name"] or None),
            "view" if "VIEW" in kind else "table",
            tuple(columns) if all(column["ordinal_position"] for column in columns) else (),
            tuple(table["table_constraints"] or ()),
        )


def check_schema(connection: Connection, name: str) -> None:
    """Raises ConfigError for a schema that the current catalogue does not have."""
    catalog = connection.option(_CATALOG)
    there = [
        schema["db_schema_name"]
        for found in connection.objects("db_schemas")
        if catalog in (None, found["catalog_name"])
        for schema in found["catalog_db_schemas"] or ()
    ]
    if name not in there:
        raise ConfigError(
            f"there is no schema {name!r} in the target",
            hint="Create it, or name another table with --target-table schema.table",
        )


def names(connection: Connection, *, views: bool) -> list[TableName]:
    found = (each.name for each in listed(connection) if views or each.kind == "table")
    return sorted(set(found), key=lambda name: (name.schema or "", name.name))


def find(connection: Connection, names: Collection[TableName]) -> Iterator[Listed]:
    """The tables of exactly those names, with columns and constraints where the driver tells them."""
    for name in names:
        try:
            found = [*listed(connection, "all", table_name_filter=name.name)]
        except TransientError:
            raise
        except ArrowsyncError:  # some drivers fail over one column's type, whichever table has it
            found = [*listed(connection)]
        schemas = (name.schema,) if name.schema else (None, default_schema(connection))
        yield from [each for each in found if each.name.name == name.name and each.name.schema in schemas][:1]


def described(found: Listed, schema: pa.Schema) -> Table:
    """The table whose columns have the types of the driver's schema."""
    primary = found.keys("PRIMARY KEY")
    return Table(
        found.name,
        DIALECT,
        columns_of(schema, found),
        kind=found.kind,
        primary_key=primary[0] if primary else None,
        unique=found.keys("UNIQUE"),
        arrow=schema,
    )


def columns_of(schema: pa.Schema, found: Listed | None = None) -> tuple[Column, ...]:
    """Raises SchemaError for two columns of one name, which no target can have."""
    if len(set(schema.names)) < len(schema.names):
        raise SchemaError("two columns have one name", hint="Give each a name of its own, with `as`")
    return tuple(
        replace(StoredColumn.of(field).column(), nullable=found is None or found.is_nullable(field.name))
        for field in schema
    )


def check_order(connection: Connection, table: Table) -> None:
    """Raises ConfigError where the catalogue does not tell the columns' order that an ingest goes by."""
    told = [[column["column_name"] for column in each.columns] for each in find(connection, [table.name])]
    if told != [[column.name for column in table.columns]]:
        raise ConfigError(
            f"the driver's catalogue does not tell the order of the columns of {table.name}, and it may "
            "add rows by position",
            hint="Copy into a new table: --target-table names it",
        )


def refuse_missing(existing: Table, given: Sequence[str]) -> None:
    """Raises SchemaError where an existing column gets no values."""
    if missing := [column.name for column in existing.columns if column.name not in given]:
        raise SchemaError(
            f"the source has no column {', '.join(map(repr, missing))}, and this driver may add rows by "
            "position: every column of the target needs values",
            hint="Add them with query (--query), or copy into a new table",
        )
