"""SQLite behind the dialects' one face: files, PRAGMAs, storage classes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from arrowsync.core.capabilities import Capabilities
from arrowsync.core.contracts import BareConnection, Connection, Forms
from arrowsync.core.plan import ColumnPlan, TablePlan
from arrowsync.core.receipts import Partition, Unfinished
from arrowsync.core.table import Table, TableName, UserType, Widths
from arrowsync.core.transfer import Transfer
from arrowsync.core.write_modes import Write
from arrowsync.dialects.dialect import Dialect, Read
from arrowsync.dialects.reject_sql import RejectSQL
from arrowsync.dialects.sqlite import (
    catalog,
    change_detection,
    constraint_checks,
    ddl,
    design,
    errors,
    location,
    reading,
    type_inference,
    widths,
)
from arrowsync.dialects.sqlite.sql import quote
from arrowsync.errors import ArrowsyncError

BUSY_MILLISECONDS = (
    5_000  # how long SQLite itself waits for another program's lock; then the retry rule waits
)


_CAPABILITIES = Capabilities(
    readers=None,
    writers=1,
    shareable=True,
    most_columns=2000,
    default_schema="main",
    cancels=False,
    one_database=False,
    creates_by_ingest=False,
    journal=True,
    isolates_rows=True,
    adds_foreign_keys=False,
    drops_journal=True,
    staging_options={"catalog_name": "temp"},
    # The catalogue's rows come as one batch: the driver takes types from the first one alone.
    query_options={reading.BATCH_ROWS: "65536"},
    begin_write="begin immediate",
    # BEGIN sees nothing yet; the first query fixes the view, and refreshes a schema that another changed.
    begin_snapshot=("begin", catalog.REFRESH),
    commits="pragma data_version",
    seconds_since="(julianday('now') - julianday({})) * 86400",
    rows_changed="select changes()",
)


@dataclass(frozen=True)
class SQLite(Dialect):
    """One file, one writer, and readers whose transactions are the snapshot."""

    name: ClassVar[str] = "sqlite"
    capabilities: Capabilities = _CAPABILITIES

    def quote_table(self, name: TableName) -> str:
        return quote(name.name)

    def driver(self) -> str | None:
        import adbc_driver_sqlite  # not before it is needed: `arrowsync --help` is waited for

        return str(adbc_driver_sqlite._driver_path())

    def server(self, uri: str) -> None:
        return None

    def identity(self, uri: str) -> str:
        return f"sqlite://{location.locate(uri).path}"

    def file(self, uri: str) -> object:
        with suppress(FileNotFoundError):
            found = location.locate(uri).path.stat()
            return found.st_dev, found.st_ino
        return None

    def exists(self, uri: str) -> bool:
        return location.locate(uri).path.exists()

    def options(self, uri: str, *, read_only: bool) -> dict[str, str]:
        where = location.locate(uri)
        return {"uri": location.source_uri(where) if read_only else location.sink_uri(where)}

    def check_session(self, connection: BareConnection) -> None:
        """A session is its file's, and quotes as standard SQL does."""

    def session(self, *, read_only: bool) -> tuple[str, ...]:
        busy = f"pragma busy_timeout = {BUSY_MILLISECONDS}"
        # Renaming must not rewrite views and keys that name the table which `replace` exchanges.
        return (busy,) if read_only else (busy, "pragma legacy_alter_table = on")

    def translate(self, error: Exception) -> ArrowsyncError:
        return errors.translate(error)

    # -- as a source -------------------------------------------------------------------------------------

    def names(self, connection: Connection, *, views: bool = False) -> list[TableName]:
        return catalog.names(connection, views=views)

    def describe(self, connection: Connection, names: Sequence[TableName]) -> list[Table]:
        return catalog.describe(connection, names)

    def describe_query(self, connection: Connection, name: TableName, query: str) -> Table:
        return catalog.describe_query(connection, name, query)

    def relation(self, table: Table) -> str:
        # An index may need a collation that only an application has.
        return reading.relation(table) + (" not indexed" if table.kind == "table" else "")

    def widths(self, connection: Connection, table: Table, where: str | None) -> Widths | None:
        return widths.measure(connection, table, where)

    def forms(self, connection: Connection, table: Table) -> Forms:
        return type_inference.forms(connection, table)

    def sampled(self, connection: Connection, table: Table) -> Forms | None:
        return type_inference.sampled(connection, table)

    def partitions(self, connection: Connection, table: Table, target_bytes: int) -> list[Partition]:
        return reading.partitions(connection, table, target_bytes)

    def state(self, connection: Connection, plan: TablePlan) -> dict[str, Any]:
        return change_detection.state(connection, plan)

    def snapshot_token(self, connection: Connection) -> str:
        return json.dumps(change_detection.files(connection))

    def select(self, plan: TablePlan, partition: Partition) -> str:
        return reading.select(plan, partition)

    def reads(self, plan: TablePlan, partition: Partition, *, batch_bytes: int) -> tuple[Read, ...]:
        return tuple(reading.reads(plan, partition, batch_bytes))

    def unwrap(self, batches: Iterator[pa.RecordBatch], plan: TablePlan) -> Iterator[pa.RecordBatch]:
        return reading.unpinned(batches, [(column.source.name, column.route.form) for column in plan.columns])

    # -- as a sink ---------------------------------------------------------------------------------------

    def resolve_name(self, connection: Connection, name: TableName) -> TableName:
        """The name without a schema, as an existing table spells it: SQLite does not tell cases apart."""
        spelled = (
            table.name for table in catalog.listed(connection) if table.name.lower() == name.name.lower()
        )
        return TableName(next(spelled, name.name))

    def normalize_name(self, name: TableName) -> TableName:
        return TableName(
            name.name.encode().lower().decode()
        )  # of bytes, ASCII's letters alone, as SQLite does

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
        return design.design(source, forms, transfer, name, existing, replaced)

    def check_privileges(self, connection: Connection, plan: TablePlan) -> None:
        """Nothing to check: who may write the file may do anything in it, and columns are written by name."""

    def statements(self, plan: TablePlan) -> TablePlan:
        return ddl.statements(plan)

    def rehearsed(self, plan: TablePlan) -> tuple[str, ...]:
        """What comes from another file may need a function or collation that only an application has."""
        if plan.source.dialect != self.name or not plan.write.makes_table:
            return ()
        new = ddl.statements(replace(plan, write=Write())).write
        return (*new.before, *new.after)

    @property
    def scratch(self) -> SQLite:
        return _SCRATCH

    def staging(self, plan: TablePlan) -> tuple[str, ...]:
        return ddl.staging(plan)

    def insert_from_staging(self, plan: TablePlan) -> tuple[str, ...]:
        return ()

    def ingest_options(self, name: TableName) -> Mapping[str, Any]:
        return {}

    def journal_tables(self, journal: str) -> tuple[TableName, TableName]:
        return TableName(f"{journal}_transfers"), TableName(f"{journal}_receipts")

    def create_journal(self, journal: str) -> tuple[str, ...]:
        return ()

    def table_version(self, connection: Connection, name: TableName) -> dict[str, Any] | None:
        return change_detection.table_version(connection, name)

    def write_table_state(
        self, connection: Connection, unfinished: Unfinished
    ) -> Literal["kept", "changed", "other"]:
        return change_detection.write_table_state(connection, unfinished)

    def rows_lost(self, connection: Connection, unfinished: Unfinished) -> int:
        return change_detection.rows_lost(connection, unfinished)

    def lock_file(self, uri: str, key: str) -> Path | None:
        return change_detection.lock_file(location.locate(uri).path, key)

    def reject_sql(self, connection: Connection, plan: TablePlan) -> RejectSQL:
        return constraint_checks.reject_sql(connection, plan)

    def triggers(self, connection: Connection, name: TableName) -> list[str]:
        return constraint_checks.triggers(connection, name.name)

    def stored(self, connection: Connection, name: TableName) -> int:
        """Changes of this connection; with triggers, whose own changes count too, the table's rows."""
        triggers = connection.rows(
            "select 1 from sqlite_master where type = 'trigger' and lower(tbl_name) = lower(?)", (name.name,)
        )
        query = f"select count(*) from {quote(name.name)}" if triggers else "select total_changes()"
        return int(str(connection.rows(query)[0][0]))


class _InMemory(SQLite):
    def options(self, uri: str, *, read_only: bool) -> dict[str, str]:
        return {"uri": ":memory:"}


_SCRATCH = _InMemory()
