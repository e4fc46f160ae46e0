"""What a SQLite table would refuse, asked of its PRAGMAs; the SQL around it is dialects/reject_sql.py's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import ColumnPlan, TablePlan
from arrowsync.core.table import Index, Key, Table
from arrowsync.dialects.reject_sql import ORDINAL, RejectSQL, Violation, repeated
from arrowsync.dialects.sqlite import catalog
from arrowsync.dialects.sqlite.sql import quote

_TRIGGERS = "select name from sqlite_master where type = 'trigger' and lower(tbl_name) = lower(?) order by 1"


def triggers(connection: Connection, table: str) -> list[str]:
    return [str(name) for (name,) in connection.rows(_TRIGGERS, (table,))]


def reject_sql(connection: Connection, plan: TablePlan) -> RejectSQL:
    (write_table,) = catalog.describe(connection, [plan.write_table])
    staged = f"temp.{quote(plan.staging_name)}"
    names = [quote(column.target.name) for column in plan.columns]
    values = [
        column.route.storage.insert.replace("{}", name)
        for column, name in zip(plan.columns, names, strict=True)
    ]
    named = ", ".join(f"{value} as {name}" for value, name in zip(values, names, strict=True))
    rows = f"select {ORDINAL}, {named} from {staged}"
    columns = ", ".join([f"{ORDINAL} integer primary key", *map(_staged, plan.columns)])
    checks = _Checks(write_table, plan, rows, bool(triggers(connection, write_table.name.name)))
    return RejectSQL(
        create=(f"create temp table {quote(plan.staging_name)} ({columns})",),
        staged=staged,
        rows=rows,
        insert=f"insert into {quote(write_table.name.name)} ({', '.join(names)}) "
        f"select {', '.join(values)} from {staged}",
        empty=f"delete from {staged}",
        violations=checks.groups(),
    )


def _staged(column: ColumnPlan) -> str:
    """The column with the target's affinity and collation, so that values compare as they will there."""
    storage, target = column.route.storage, column.target
    type = storage.staging or (quote(target.type) if target.type else "")
    collation = f" collate {quote(target.collation)}" if target.collation and not storage.staging else ""
    return f"{quote(target.name)} {type}{collation}"


class _Checks:
    """The violations of one written table. Whoever has triggers there must ask them: they may do anything."""

    def __init__(self, write_table: Table, plan: TablePlan, rows: str, has_triggers: bool) -> None:
        self._write_table = write_table
        self._rows = rows
        self._has_triggers = has_triggers
        self._given = {column.target.name.lower() for column in plan.columns}

    def groups(self) -> tuple[tuple[Violation, ...], ...]:
        if self._has_triggers:
            return ()
        groups = (tuple(self._of_values()), tuple(self._of_table()), *((each,) for each in self._of_keys()))
        return tuple(group for group in groups if group)

    def _of_values(self) -> Iterator[Violation]:
        table = self._write_table.name.name
        for column in self._write_table.columns:
            # A rowid numbers itself where it is NULL.
            if not (column.nullable or column.identity or column.on_null) and self._has((column.name,)):
                message = f"NOT NULL constraint failed: {table}.{column.name}"
                null = f"s.{quote(column.name)} is null"
                yield Violation(null, message, "23502", "not null", column.name)
        # Which columns a check reads only its text knows, and "missing" would be taken for a text.
        complete = self._has([column.name for column in self._write_table.columns])
        for check in self._write_table.checks if complete else ():
            if not _settled(check.definition):
                name = check.name or check.expression
                message = f"CHECK constraint failed: {name}"
                yield Violation(f"not ({check.expression})", message, "23514", name)

    def _of_table(self) -> Iterator[Violation]:
        table = self._write_table.name.name
        for key, columns in self._keys():
            equal = " and ".join(f"t.{quote(column)} = s.{quote(column)}" for column in columns)
            yield self._duplicate(key, columns, f"exists (select 1 from {quote(table)} as t where {equal})")

    def _of_keys(self) -> Iterator[Violation]:
        for key, columns in self._keys():
            yield self._duplicate(key, columns, repeated(self._rows, columns, quote))

    def _keys(self) -> Iterator[tuple[Key | Index, Sequence[str]]]:
        table = self._write_table
        keys: list[Key | Index] = [table.primary_key] if table.primary_key else []
        keys += [*table.unique, *(index for index in table.indexes if index.unique and not index.where)]
        for key in keys:
            if key.columns and self._has(key.columns) and not _settled(key.definition):
                yield key, key.columns

    def _duplicate(self, key: Key | Index, columns: Sequence[str], predicate: str) -> Violation:
        table = self._write_table.name.name
        message = f"UNIQUE constraint failed: {', '.join(f'{table}.{column}' for column in columns)}"
        return Violation(predicate, message, "23505", key.name or "unique")

    def _has(self, columns: Sequence[str]) -> bool:
        return all(column.lower() in self._given for column in columns)


def _settled(definition: str | None) -> bool:
    """Whether the table itself says what becomes of the row: ON CONFLICT IGNORE, REPLACE."""
    return "ON CONFLICT" in " ".join((definition or "").upper().split())
