"""What a PostgreSQL table would refuse, from its catalogue. reject_sql.py has the SQL around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import ColumnPlan, Form, Route, Storage, TablePlan
from arrowsync.core.table import Column, ForeignKey, Index, Key, NativeType, Table, TableName
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql import catalog, ddl
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.dialects.reject_sql import ORDINAL, RejectSQL, Violation, repeated

# A trigger that runs before a row goes in may repair it, so that only the INSERT itself can judge.
_TRIGGERS = """
select quote_ident(t.tgname), t.tgtype & 7 = 7
from (select to_regclass($1)::oid as oid union select relid from pg_partition_tree(to_regclass($1))) as part
join pg_trigger t on t.tgrelid = part.oid
where not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 4 = 4
order by t.tgname
"""
_READABLE = """
select w.name from unnest($1::text[]) as w(name) join pg_class c on c.oid = to_regclass(w.name)
where has_table_privilege(c.oid, 'select') and not c.relrowsecurity
"""
_INDEX, _MARK = "arrowsync_staged", "arrowsync_mark"


def triggers(connection: Connection, table: str) -> list[str]:
    """The triggers that see inserted rows, of all partitions."""
    return [str(name) for name, _ in connection.rows(_TRIGGERS, [table])]


def reject_sql(dialect: Dialect, connection: Connection, plan: TablePlan) -> RejectSQL:
    (write_table,) = catalog.describe(connection, [plan.write_table])
    staged = f"pg_temp.{dialect.quote(plan.staging_name)}"
    values = [
        f"{column.route.storage.insert.replace('{}', name)} as {name}"
        for column in plan.columns
        if (name := dialect.quote(column.target.name))
    ]
    rows = f"select {', '.join([ORDINAL, *values])} from {staged}"
    insert, empty = ddl.insert_from_staging(dialect, plan)
    checks = _Checks(dialect, connection, plan, write_table, rows)
    return RejectSQL(
        ddl.staging(dialect, _loose(plan)),
        staged,
        rows,
        insert,
        empty,
        checks.groups(),
        for_ranges=(
            f"create index if not exists {_INDEX} on {staged} ({ORDINAL})",
            f"create temporary sequence if not exists {_MARK} minvalue 0",
            f"analyze {staged}",  # or each range would scan the whole batch
        ),
        mark=f"setval('pg_temp.{_MARK}', {ORDINAL}) >= 0",
        marked=f"select last_value from pg_temp.{_MARK}",
    )


def _loose(plan: TablePlan) -> TablePlan:
    """The plan whose staging takes every value: no lengths, no domains, and the ordinal in front."""
    columns = [
        replace(column, target=replace(column.target, type=_loose_type(column.target)))
        for column in plan.columns
    ]
    number = Column(ORDINAL, "bigint", NativeType("postgresql", "bigint"))
    route = Route(Form("", pa.int64(), pa.int64()), Storage(pa.int64()))
    return replace(plan, columns=(ColumnPlan(number, number, (route,)), *columns))


def _loose_type(column: Column) -> str:
    type = TypeName.parse(column.base or column.type).cast
    return f"{type} collate {column.collation}" if column.collation else type


class _Checks:
    """The violations of one written table."""

    def __init__(
        self, dialect: Dialect, connection: Connection, plan: TablePlan, write_table: Table, rows: str
    ) -> None:
        self._dialect = dialect
        self._connection = connection
        self._plan = plan
        self._write_table = write_table
        self._rows = rows
        self._given = {column.target.name: column for column in plan.columns}

    def groups(self) -> tuple[tuple[Violation, ...], ...]:
        table = self._dialect.quote_table(self._write_table.name)
        if any(before for _, before in self._connection.rows(_TRIGGERS, [table])):
            return ()
        groups = (tuple(self._of_values()), tuple(self._of_tables()), *((each,) for each in self._of_keys()))
        return tuple(group for group in groups if group)

    def _of_values(self) -> Iterator[Violation]:
        """Reasons that lie in the row itself."""
        yield from self._nulls()
        yield from self._sizes()
        yield from self._failed_checks()

    def _of_tables(self) -> Iterator[Violation]:
        """Reasons that lie in what the target and the tables it refers to hold, or do not hold."""
        readable = self._readable()
        if str(self._write_table.name) in readable:
            yield from self._taken_keys()
        for key in self._write_table.foreign_keys:
            if str(key.references) in readable and self._plain(key):
                yield self._orphans(key)

    def _of_keys(self) -> Iterator[Violation]:
        """Reasons that lie in another row of the batch: the first one wins."""
        for name, columns in self._keys():
            yield _duplicate(name, repeated(self._rows, columns, self._dialect.quote))

    # -- a row's own values --------------------------------------------------------------------------------

    def _nulls(self) -> Iterator[Violation]:
        for column in self._write_table.columns:
            if not column.nullable and column.name in self._given:
                message = f'null value in column "{column.name}" violates not-null constraint'
                yield Violation(f"{self._s(column.name)} is null", message, "23502", column=column.name)

    def _sizes(self) -> Iterator[Violation]:
        for column in self._write_table.columns:
            type = TypeName.parse(column.base or column.type)
            given = self._given.get(column.name)
            if given is None or type.array or not type.modifiers:
                continue
            value, size = self._s(column.name), type.modifiers[0]
            arrow = given.route.storage.arrow
            if type.bare == "bpchar":
                # Blanks beyond the length are its padding; varchar's are refused before they are sent.
                long = f"length({value}) > {size} and rtrim(substr({value}::text, {size + 1}), ' ') <> ''"
                yield Violation(long, f"value too long for type {type}", "22001", column=column.name)
            elif type.bare == "numeric" and pa.types.is_decimal(arrow):
                digits = size - (*type.modifiers, 0)[1]
                if arrow.precision - arrow.scale > digits:
                    message = f"numeric field overflow: the value does not fit {type}"
                    yield Violation(
                        f"abs({value}) >= 1e{digits}::numeric", message, "22003", column=column.name
                    )

    def _failed_checks(self) -> Iterator[Violation]:
        for check in self._write_table.checks:
            definition = check.definition or ""
            exclusion = definition.startswith("EXCLUDE")
            if exclusion or "NOT ENFORCED" in definition or not self._has(check.columns):
                continue
            message = f'new row violates check constraint "{check.name}"'
            yield Violation(f"not ({check.expression})", message, "23514", check.name)

    # -- other rows ----------------------------------------------------------------------------------------

    def _keys(self) -> Iterator[tuple[str | None, Sequence[str]]]:
        table = self._write_table
        primary = [table.primary_key] if table.primary_key else []
        indexes = [index for index in table.indexes if index.unique and not index.where]
        keys: list[Key | Index] = [*primary, *table.unique, *indexes]
        for key in keys:
            if key.columns and self._has(key.columns):
                yield key.name, key.columns

    def _taken_keys(self) -> Iterator[Violation]:
        for name, columns in self._keys():
            yield _duplicate(name, self._exists(self._write_table.name, columns, columns))

    def _orphans(self, key: ForeignKey) -> Violation:
        given = " and ".join(f"{self._s(column)} is not null" for column in key.columns)
        found, needs = self._exists(key.references, key.referenced, key.columns), None
        if key.references == self._write_table.name:
            needs = self._needs(key, f"{given} and not {found}")
            found += f" or {self._in_batch(key)}"
        message = (
            f'insert violates foreign key constraint "{key.name}": no such row in table "{key.references}"'
        )
        return Violation(f"{given} and not ({found})", message, "23503", key.name, needs=needs)

    def _in_batch(self, key: ForeignKey) -> str:
        mine = ", ".join(self._s(column) for column in key.columns)
        theirs = [self._dialect.quote(column) for column in key.referenced]
        known = " and ".join(f"{column} is not null" for column in theirs)
        return f"({mine}) in (select {', '.join(theirs)} from ({self._rows}) as r where {known})"

    def _needs(self, key: ForeignKey, condition: str) -> str:
        """Ordinals of rows that the key refers to one other row of the batch alone, and that row's.

        Where two rows of the batch have what it refers to, either may stay: those are looked at again.
        """
        same = " and ".join(
            f"p.{self._dialect.quote(their)} = {self._s(my)}"
            for their, my in zip(key.referenced, key.columns, strict=True)
        )
        return (
            f"select s.{ORDINAL}, min(p.{ORDINAL}) from ({self._rows}) as s "
            f"join ({self._rows}) as p on {same} where {condition} "
            f"group by s.{ORDINAL} having count(*) = 1"
        )

    def _exists(self, table: TableName, theirs: Sequence[str], mine: Sequence[str]) -> str:
        """Whether the table has the row; `offset 0` keeps it a look at the index, never a scan for a join."""
        equal = [
            f"t.{self._dialect.quote(their)} = {self._s(my)}" for their, my in zip(theirs, mine, strict=True)
        ]
        name = self._dialect.quote_table(table)
        return f"exists (select from {name} as t where {' and '.join(equal)} offset 0)"

    # -- what may be asked ---------------------------------------------------------------------------------

    def _s(self, column: str) -> str:
        return f"s.{self._dialect.quote(column)}"

    def _has(self, columns: Sequence[str]) -> bool:
        """Whether all come with the batch: defaults and generated values are made by the INSERT."""
        return all(column in self._given for column in columns)

    def _plain(self, key: ForeignKey) -> bool:
        words = key.definition or ""
        return self._has(key.columns) and "NOT ENFORCED" not in words and "PERIOD " not in words

    def _readable(self) -> set[str]:
        """Of the tables to look into, those that this user may read whole."""
        tables = {self._write_table.name, *(key.references for key in self._write_table.foreign_keys)}
        names = {self._dialect.quote_table(table): str(table) for table in tables}
        return {names[name] for (name,) in self._connection.rows(_READABLE, [list(names)])}


def _duplicate(name: str | None, predicate: str) -> Violation:
    message = f'duplicate key value violates unique constraint "{name}"'
    return Violation(predicate, message, "23505", name)
