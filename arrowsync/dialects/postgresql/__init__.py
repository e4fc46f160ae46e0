"""PostgreSQL 14 and newer: the face; catalogue, types, DDL, errors and sessions have modules of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import pyarrow as pa

from arrowsync.core.capabilities import Capabilities
from arrowsync.core.contracts import BareConnection, Connection, Forms
from arrowsync.core.plan import ColumnPlan, TablePlan
from arrowsync.core.receipts import Partition, Receipt, Unfinished
from arrowsync.core.table import Table, TableName, UserType, Widths
from arrowsync.core.transfer import Transfer
from arrowsync.core.waits import Wait
from arrowsync.dialects.dialect import Dialect, Read
from arrowsync.dialects.postgresql import (
    advisory_locks,
    catalog,
    change_detection,
    connection,
    constraint_checks,
    ddl,
    design,
    errors,
    guard,
    journal_location,
    names,
    partitions,
    place,
    pooling,
    privileges,
    read_types,
    source_locks,
    swap,
    type_catalog,
    type_meaning,
    waits,
    widths,
)
from arrowsync.dialects.reject_sql import RejectSQL
from arrowsync.errors import ArrowsyncError, ConfigError

_CAPABILITIES = Capabilities(
    readers=None,
    writers=None,
    shareable=True,
    most_columns=1600,  # 1,664 of a result
    default_schema="public",
    one_database=False,
    creates_by_ingest=False,
    journal=True,
    isolates_rows=True,
    query_options={"adbc.postgresql.use_copy": "false"},  # COPY takes no SHOW
    begin_snapshot=("begin isolation level repeatable read, read only",),
    export_snapshot="select pg_export_snapshot()",
    keep_row=" for key share",  # lets others change the row's state, not delete it
    seconds_since="extract(epoch from now() - {}::timestamptz)",
    short_waits=("set local lock_timeout = '2s'",),
    durable=("set local synchronous_commit = on",),
    # At the commit nobody knows any more which row a deferred constraint means.
    check_at_once=("set constraints all immediate",),
)


@dataclass(frozen=True, slots=True)
class PostgreSQL(Dialect):
    """PostgreSQL over adbc-driver-postgresql; `row_security` reads only the rows that policies show."""

    name: ClassVar[str] = "postgresql"
    capabilities: Capabilities = _CAPABILITIES
    row_security: bool = False

    # -- names and connections -----------------------------------------------------------------------------

    def driver(self) -> str | None:
        import adbc_driver_postgresql  # 60 ms that `arrowsync --help` need not wait for

        return str(adbc_driver_postgresql._driver_path())

    def release(self, version: str) -> str:
        number = int(version) if version.isdecimal() else 0
        return f"{number // 10_000}.{number % 10_000}" if number else version  # 180006 is 18.6

    def identity(self, uri: str) -> str:
        return connection.identity(uri)

    def server(self, uri: str) -> str:
        return connection.identity(uri).rpartition("/")[0]

    def options(self, uri: str, *, read_only: bool) -> dict[str, str]:
        # In builtin mode the driver takes raw bytes for user types, and connects in 4 ms instead of 29.
        return {"uri": connection.driver_uri(uri), "adbc.postgresql.type_resolver_mode": "builtin"}

    def opening_seconds(self, uri: str) -> float | None:
        return connection.opening_seconds(uri)

    def check_session(self, connection: BareConnection) -> None:
        pooling.check(connection)

    def session(self, *, read_only: bool) -> tuple[str, ...]:
        return (connection.session(read_only=read_only, row_security=self.row_security),)

    def session_id(self, connection: Connection) -> int | None:
        return waits.session_id(connection)

    def waits_for(self, connection: Connection, session_id: int) -> Wait | None:
        return waits.waits_for(connection, session_id)

    def through_policies(self) -> PostgreSQL:
        return replace(self, row_security=True)

    def translate(self, error: Exception) -> ArrowsyncError:
        return errors.translate(error)

    # -- as a source ---------------------------------------------------------------------------------------

    def names(self, connection: Connection, *, views: bool = False) -> list[TableName]:
        return catalog.names(connection, views=views)

    def describe(self, connection: Connection, names: Sequence[TableName]) -> list[Table]:
        return catalog.describe(connection, names)

    def describe_query(self, connection: Connection, name: TableName, query: str) -> Table:
        return catalog.describe_query(connection, name, query)

    def relation(self, table: Table) -> str:
        return partitions.relation(self, table)

    def check_reading(self, connection: Connection, table: Table) -> None:
        if table.kind != "query":
            privileges.check_reading(self, connection, table)

    def widths(self, connection: Connection, table: Table, where: str | None) -> Widths | None:
        return widths.measure(connection, self, table, where)

    def forms(self, connection: Connection, table: Table) -> Forms:
        with catalog.qualified(connection):
            facts = type_catalog.facts_of(connection, {column.type for column in table.columns})
        made = {type.name: type for type in table.types}
        return {
            column.name: read_types.forms(
                self.quote(column.name),
                facts[column.type],
                type_meaning.signature(facts[column.type].base.cast, made),
            )
            for column in table.columns
        }

    def join_snapshot(self, token: str) -> tuple[str, ...]:
        quoted = token.replace("'", "''")
        return (*self.capabilities.begin_snapshot, f"set transaction snapshot '{quoted}'")

    def snapshot_lost_hint(self, connection: Connection) -> str | None:
        connection.run("rollback")
        [(standby,)] = connection.rows("select pg_is_in_recovery()")
        return errors.STANDBY if standby else None

    def partitions(self, connection: Connection, table: Table, target_bytes: int) -> list[Partition]:
        return partitions.partitions(connection, self, table, target_bytes)

    def slices(
        self, connection: Connection, plan: TablePlan, target_bytes: int
    ) -> list[tuple[Partition, ...]]:
        return partitions.slices(connection, self, plan, target_bytes)

    def state(self, connection: Connection, plan: TablePlan) -> dict[str, Any]:
        return guard.state(connection, self, plan)

    def unchanged(
        self,
        connection: Connection,
        plan: TablePlan,
        receipts: Sequence[Receipt],
        then: Mapping[str, Any],
        now: Mapping[str, Any],
    ) -> bool:
        return guard.unchanged(connection, self, plan, receipts, then, now)

    def check_unchanged(
        self, connection: Connection, plan: TablePlan, partition: Partition, noted: Mapping[str, Any]
    ) -> None:
        guard.check(connection, self, plan, partition, noted)

    def hold(self, connection: Connection, plans: Sequence[TablePlan]) -> dict[TableName, str]:
        return source_locks.hold(connection, self, plans)

    def select(self, plan: TablePlan, partition: Partition) -> str:
        return partitions.select(self, plan, partition)

    def reads(self, plan: TablePlan, partition: Partition, *, batch_bytes: int) -> tuple[Read, ...]:
        hint = max(1 << 16, batch_bytes)  # a batch ends with the row that reaches it
        return ((self.select(plan, partition), {"adbc.postgresql.batch_size_hint_bytes": hint}),)

    def unwrap(self, batches: Iterator[pa.RecordBatch], plan: TablePlan) -> Iterator[pa.RecordBatch]:
        return batches

    # -- as a sink -----------------------------------------------------------------------------------------

    def is_same(self, here: Connection, there: Connection) -> bool:
        return place.is_same(here, there)

    def resolve_name(self, connection: Connection, name: TableName) -> TableName:
        """The name with a schema that exists. Raises ConfigError."""
        query = "select nspname from pg_namespace where nspname = coalesce(nullif($1, ''), current_schema())"
        if found := connection.rows(query, [name.schema or ""]):
            return TableName(name.name, str(found[0][0]))
        raise ConfigError(
            f"there is no schema {name.schema!r} in the target"
            if name.schema
            else "no schema of search_path exists",
            hint="Create it, or name another table with --target-table schema.table",
        )

    def user_types(self, connection: Connection, source: Table) -> tuple[UserType, ...]:
        names = type_catalog.names_of(source)
        if not names:
            return ()
        with catalog.qualified(connection):
            return type_catalog.types_there(connection, names)

    def design(
        self,
        source: Table,
        forms: Forms,
        transfer: Transfer,
        name: TableName,
        existing: Table | None,
        replaced: Table | None = None,
        types: Sequence[UserType] = (),
    ) -> tuple[Table, tuple[ColumnPlan, ...]]:
        return design.design(source, forms, transfer, name, existing, replaced, types)

    def check_privileges(self, connection: Connection, plan: TablePlan) -> None:
        privileges.check_writing(self, connection, plan)
        type_catalog.check_types(connection, plan)

    def lost(self, connection: Connection, plan: TablePlan) -> list[str]:
        return list(swap.lost(connection, self, plan))

    def reserve_names(self, connection: Connection, plans: Sequence[TablePlan]) -> list[TablePlan]:
        return names.reserve_names(self, connection, plans)

    def statements(self, plan: TablePlan) -> TablePlan:
        return ddl.statements(self, plan)

    def view(self, table: Table, transfer: Transfer, types: Sequence[UserType] = ()) -> tuple[str, ...]:
        if table.dialect != self.name:
            return ()
        type_meaning.check_view(table, types)
        return tuple(ddl.view(self, table, transfer))

    def staging(self, plan: TablePlan) -> tuple[str, ...]:
        return ddl.staging(self, plan)

    def foreign_keys(self, connection: Connection, name: TableName) -> set[str]:
        query = "select conname::text from pg_constraint where contype = 'f' and conrelid = to_regclass($1)"
        return {str(key) for (key,) in connection.rows(query, [self.quote_table(name)])}

    def unchecked(self, connection: Connection, name: TableName) -> list[str]:
        """What to say about foreign keys from or to the table that hold for new rows only."""
        return catalog.unchecked(connection, name)

    def insert_from_staging(self, plan: TablePlan) -> tuple[str, ...]:
        return ddl.insert_from_staging(self, plan)

    def table_version(self, connection: Connection, name: TableName) -> dict[str, Any] | None:
        return change_detection.table_version(connection, self, name)

    def write_table_state(
        self, connection: Connection, unfinished: Unfinished
    ) -> Literal["kept", "changed", "other"]:
        return change_detection.write_table_state(connection, self, unfinished)

    def rows_lost(self, connection: Connection, unfinished: Unfinished) -> int:
        return change_detection.rows_lost(connection, self, unfinished)

    def empty(self, name: TableName) -> str:
        return f"truncate {self.quote_table(name)}"

    def drop(self, tables: Sequence[Table]) -> tuple[str, ...]:
        return tuple(ddl.drop(self, tables))

    def lock(self, connection: Connection, key: str, seconds: float) -> bool:
        return advisory_locks.lock(connection, key, seconds)

    def unlock(self, connection: Connection, key: str) -> None:
        advisory_locks.unlock(connection, key)

    def is_locked(self, connection: Connection, key: str) -> bool:
        return advisory_locks.is_locked(connection, key)

    def locate_journal(
        self, connection: Connection, journal: str, name: TableName
    ) -> tuple[TableName, TableName]:
        return journal_location.locate_journal(connection, self, journal, name)

    def find_journals(self, connection: Connection, journal: str) -> list[tuple[TableName, TableName]]:
        return journal_location.find_journals(connection, journal)

    def create_journal(self, journal: str) -> tuple[str, ...]:
        return journal_location.create_journal(self, journal)

    def reject_sql(self, connection: Connection, plan: TablePlan) -> RejectSQL:
        return constraint_checks.reject_sql(self, connection, plan)

    def triggers(self, connection: Connection, name: TableName) -> list[str]:
        return constraint_checks.triggers(connection, self.quote_table(name))

    def count_from_statistics(self, connection: Connection, name: TableName, rows: int) -> bool:
        return change_detection.count_from_statistics(connection, self, name, rows)

    def stored(self, connection: Connection, name: TableName) -> int:
        """n_tup_ins of this transaction, of all partitions of a table; its rows where none is counted."""
        query = (
            "select case when current_setting('track_counts')::bool then "
            "coalesce(sum(pg_stat_get_xact_tuples_inserted(oid)), 0)::int8 end from (select "
            "to_regclass($1)::oid as oid union select relid from pg_partition_tree(to_regclass($1))) as parts"
        )
        table = self.quote_table(name)
        [(inserted,)] = connection.rows(query, [table])
        if inserted is None:
            [(inserted,)] = connection.rows(f"select count(*) from {table}")
        return int(inserted)
