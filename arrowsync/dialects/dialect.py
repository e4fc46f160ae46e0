"""The Dialect, which serves any ADBC driver as it is; those of known databases can do more.

A dialect knows SQL, catalogues, types and error texts. It holds no state and opens nothing: what needs the
database takes a Connection. endpoints/database.py does the moving.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import pyarrow as pa

from arrowsync.core.capabilities import ANY_DRIVER, Capabilities
from arrowsync.core.contracts import BareConnection, Connection, Forms
from arrowsync.core.plan import ColumnPlan, TablePlan
from arrowsync.core.receipts import Partition, Receipt, Unfinished
from arrowsync.core.table import Table, TableName, UserType, Widths
from arrowsync.core.transfer import Transfer
from arrowsync.core.waits import Wait
from arrowsync.dialects import arrow_target, driver_errors, objects, quoting
from arrowsync.dialects.arrow_columns import StoredColumn, bring_arrays, forms
from arrowsync.dialects.arrow_types import DIALECT
from arrowsync.dialects.reject_sql import RejectSQL
from arrowsync.errors import ArrowsyncError, ConfigError

Read = tuple[str, Mapping[str, str | int]]  # a query and its ADBC statement options


@dataclass(frozen=True)
class Dialect:
    """A kind of database: with `Database(uri, driver=…, dialect=Dialect())` any that has an ADBC driver.

    It reads tables, views and queries by one reader, and writes new tables and those whose columns' order is
    known, each in one transaction. `capabilities` say more of a database, such as how it quotes names.
    Subclasses are frozen, picklable and without state.
    """

    name: ClassVar[str] = "generic"
    capabilities: Capabilities = ANY_DRIVER

    def __post_init__(self) -> None:
        """Let a subclass set `capabilities` as a plain attribute, which a dataclass alone would ignore."""
        [inherited] = (field.default for field in fields(self) if field.name == "capabilities")
        own = type(self).capabilities  # a descriptor where the class has slots
        if self.capabilities is inherited and isinstance(own, Capabilities):
            object.__setattr__(self, "capabilities", own)

    # -- names and connections ---------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        """The name of anything, in SQL."""
        mark = self.capabilities.quote
        return f"{mark}{name.replace(mark, mark * 2)}{mark}"

    def quote_table(self, name: TableName) -> str:
        return ".".join(self.quote(part) for part in (name.schema, name.name) if part is not None)

    def driver(self) -> str | None:
        """The path of the wheel's driver library; None when there is no wheel."""
        return None

    def release(self, version: str) -> str:
        """The database's version as people write it, from how its driver tells it."""
        return version

    def identity(self, uri: str) -> str:
        """Where the URI points, the same however it is spelled; no user, password or parameters."""
        return _identity(uri)

    def server(self, uri: str) -> str | None:
        """Whose connections are counted when `uri` is opened: the database's, or its server's."""
        return self.identity(uri)

    def file(self, uri: str) -> object:
        """Which file the path names just now; None where there is no file."""
        return None

    def exists(self, uri: str) -> bool:
        """Whether there is a database to look into; a file that a sink will create is not there yet."""
        return True

    def options(self, uri: str, *, read_only: bool) -> dict[str, str]:
        """The ADBC database options that open `uri`. Raises ConfigError, e.g. for a missing file."""
        return {"uri": uri}

    def opening_seconds(self, uri: str) -> float | None:
        """How long a connection may take to open; None: as long as the driver wants."""
        return None

    def check_session(self, connection: BareConnection) -> None:
        """Raises ConfigError where its session is not as it must be, before anything is set in it."""
        quoting.check(connection, self.capabilities.quote)

    def session(self, *, read_only: bool) -> tuple[str, ...]:
        """The statements that every new connection runs first."""
        return ()

    def session_id(self, connection: Connection) -> int | None:
        """What `waits_for` knows the connection's session by; None where nobody tells what it waits for."""
        return None

    def waits_for(self, connection: Connection, session_id: int) -> Wait | None:
        """The lock that the other session waits for just now, and who holds it."""
        return None

    def through_policies(self) -> Dialect:
        """The dialect whose source sessions read the rows that policies show; others refuse hidden rows.

        Raises ConfigError where there are no policies.
        """
        raise ConfigError(f"{self.name} has no row security", hint="Leave row_security (--row-security) out")

    def translate(self, error: Exception) -> ArrowsyncError:
        """A driver's error as one of ours, by its SQLSTATE or text; the caller keeps the cause."""
        return driver_errors.translate(error)

    # -- as a source -------------------------------------------------------------------------------------

    def names(self, connection: Connection, *, views: bool = False) -> list[TableName]:
        """Tables that are copied when none is named, in name order, none of ours; views too when wanted."""
        return objects.names(connection, views=views)

    def describe(self, connection: Connection, names: Sequence[TableName]) -> list[Table]:
        """The tables (or views) of exactly those names; those that do not exist are left out."""
        return [
            objects.described(found, self._arrow(connection, self.quote_table(found.name)))
            for found in objects.find(connection, names)
        ]

    def _arrow(self, connection: Connection, relation: str) -> pa.Schema:
        """The types that the driver gives what a query reads from."""
        return connection.schema(f"select * from {relation} where 1 = 0")

    def describe_query(self, connection: Connection, name: TableName, query: str) -> Table:
        """The columns of a user's SELECT, as a table of kind "query" and of that name."""
        text = query.strip().rstrip(";").rstrip()
        schema = self._arrow(connection, _subquery(text))
        return Table(name, DIALECT, objects.columns_of(schema), kind="query", definition=text, arrow=schema)

    def relation(self, table: Table) -> str:
        """What a query reads it from: its quoted name, or its own query in parentheses."""
        return _subquery(table.definition or "") if table.kind == "query" else self.quote_table(table.name)

    def check_reading(self, connection: Connection, table: Table) -> None:
        """Raises ConfigError, with what to do, for a table that this user may not read whole."""
        return

    def widths(self, connection: Connection, table: Table, where: str | None) -> Widths | None:
        """See Source.widths."""
        return None

    def forms(self, connection: Connection, table: Table) -> Forms:
        """Per column the ways to read it, best first; may read the table to find out (SQLite)."""
        assert table.arrow is not None, "it is described with its schema"
        return {
            column.name: tuple(
                replace(form, select=self.quote(column.name))
                for form in forms(StoredColumn.of(table.arrow.field(column.name)))
            )
            for column in table.columns
        }

    def sampled(self, connection: Connection, table: Table) -> Forms | None:
        """See Source.sampled."""
        return None

    def join_snapshot(self, token: str) -> tuple[str, ...]:
        """The statements that begin a transaction which sees another session's exported snapshot."""
        return self.capabilities.begin_snapshot

    def snapshot_lost_hint(self, connection: Connection) -> str | None:
        """What may have ended the session that exported a snapshot, and what to do about it."""
        return None

    def snapshot_token(self, connection: Connection) -> str | None:
        """What tells, in another process, whether it sees the same rows, where no snapshot is exported."""
        return None

    def partitions(self, connection: Connection, table: Table, target_bytes: int) -> list[Partition]:
        """Slices of about `target_bytes` that cover each row once; the whole where no range is stable."""
        return [Partition(0)]

    def slices(
        self, connection: Connection, plan: TablePlan, target_bytes: int
    ) -> list[tuple[Partition, ...]]:
        """See Source.slices."""
        return [(partition,) for partition in plan.partitions]

    def count(self, plan: TablePlan) -> str:
        """The query that counts the rows that the plan means, whatever its partitions."""
        where = f" where ({plan.where}\n)" if plan.where else ""
        return f"select count(*) from {self.relation(plan.source)}{where}"

    def state(self, connection: Connection, plan: TablePlan) -> dict[str, Any]:  # Any: JSON
        """See Source.states; {} where nothing tells."""
        return {}

    def unchanged(
        self,
        connection: Connection,
        plan: TablePlan,
        receipts: Sequence[Receipt],
        then: Mapping[str, Any],
        now: Mapping[str, Any],
    ) -> bool:
        """Whether the receipts' partitions provably hold what they held at `then`.

        `now` was noted before the snapshot that the connection sees.
        """
        return bool(then) and then == now == self.state(connection, plan)

    def check_unchanged(
        self, connection: Connection, plan: TablePlan, partition: Partition, noted: Mapping[str, Any]
    ) -> None:
        """Raise TableChanged where DDL has changed, since `noted`, what the snapshot shows of the partition.

        And keep DDL from doing so until the transaction ends. Nothing to do where snapshots cover it.
        """
        return

    def hold(self, connection: Connection, plans: Sequence[TablePlan]) -> dict[TableName, str]:
        """Lock the plans' tables against DDL until the transaction ends; of those that are not, why.

        Called where snapshots are exported, before this transaction has one.
        """
        return {}

    def select(self, plan: TablePlan, partition: Partition) -> str:
        """The query that reads the partition's columns, each in its route's form."""
        columns = ", ".join(column.route.form.select for column in plan.columns)
        where = f" where ({plan.where}\n)" if plan.where else ""
        return f"select {columns} from {self.relation(plan.source)}{where}"

    def reads(self, plan: TablePlan, partition: Partition, *, batch_bytes: int) -> tuple[Read, ...]:
        """What reads the partition, one after another, in driver's batches of about `batch_bytes`."""
        return ((self.select(plan, partition), {}),)

    def unwrap(self, batches: Iterator[pa.RecordBatch], plan: TablePlan) -> Iterator[pa.RecordBatch]:
        """In the plan's forms, without what `select` added: pinned rows, guard columns. Raises Refused."""
        return (bring_arrays(batch.columns, plan.columns) for batch in batches)

    # -- as a sink ---------------------------------------------------------------------------------------

    def is_same(self, here: Connection, there: Connection) -> bool:
        """Whether connections to target and source have led to one database, or to a standby of it."""
        return False

    def default_schema(self, connection: Connection) -> str | None:
        """The schema of tables that are named without one; None where there are no schemas."""
        return self.capabilities.default_schema or objects.default_schema(connection)

    def resolve_name(self, connection: Connection, name: TableName) -> TableName:
        """The name with this database's default schema, or without one. Raises ConfigError."""
        if name.schema is None:
            return replace(name, schema=self.default_schema(connection))
        objects.check_schema(connection, name.schema)
        return name

    def normalize_name(self, name: TableName) -> TableName:
        """See Sink.folded."""
        return name

    def user_types(self, connection: Connection, source: Table) -> tuple[UserType, ...]:
        """The types that somebody has made here and that are called as those of the source's columns."""
        return ()

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
        """See Sink.design; `types` are the target's own that are called as the source's. Pure."""
        return arrow_target.design(source, forms, transfer, name, existing)

    def check_privileges(self, connection: Connection, plan: TablePlan) -> None:
        """Raises ConfigError for what this user may not do to the target, SchemaError for types it lacks."""
        if not plan.write.makes_table:
            objects.check_order(connection, plan.target)

    def lost(self, connection: Connection, plan: TablePlan) -> list[str]:
        """A sentence for each thing of an existing table that the one which replaces it will lack."""
        return []

    def reserve_names(self, connection: Connection, plans: Sequence[TablePlan]) -> list[TablePlan]:
        """See Sink.apart."""
        return list(plans)

    def statements(self, plan: TablePlan) -> TablePlan:
        """The plan whose `write` has its statements. Pure."""
        return arrow_target.checked(plan)

    def rehearsed(self, plan: TablePlan) -> tuple[str, ...]:
        """Statements to try first where `scratch` opens an empty database: one that fails, fails in time."""
        return ()

    @property
    def scratch(self) -> Dialect:
        """The dialect of empty databases that are gone when they are closed; asked where `rehearsed` is."""
        return self

    def view(self, table: Table, transfer: Transfer, types: Sequence[UserType] = ()) -> tuple[str, ...]:
        """See Sink.view; `types` as for `design`. Pure."""
        return ()

    def staging(self, plan: TablePlan) -> tuple[str, ...]:
        """What makes the temporary `plan.staging_name` for rows that cannot go straight into the target."""
        return ()

    def insert_from_staging(self, plan: TablePlan) -> tuple[str, ...]:
        """What moves the staged rows on and leaves none; nothing where the staging passes them on itself."""
        return ()

    def ingest_options(self, name: TableName) -> Mapping[str, Any]:  # Any: adbc_ingest's keyword arguments
        """Which table an ingest means, as `adbc_ingest` takes it."""
        return {"db_schema_name": name.schema} if name.schema else {}

    def table_version(self, connection: Connection, name: TableName) -> dict[str, Any] | None:  # Any: JSON
        """What tells, later, whether a table is still the same and as it was; None where there is none."""
        return {} if self.describe(connection, [name]) else None

    def write_table_state(
        self, connection: Connection, unfinished: Unfinished
    ) -> Literal["kept", "changed", "other"]:
        """What became of the table into which the transfer wrote: see Unfinished."""
        return "other"  # nothing tells, so nothing is gone on with or taken back

    def rows_lost(self, connection: Connection, unfinished: Unfinished) -> int:
        """How many rows have gone from the table into which the transfer appended, as far as is known."""
        return 0

    def empty(self, name: TableName) -> str:
        """The statement that deletes every row."""
        return f"delete from {self.quote_table(name)}"

    def drop(self, tables: Sequence[Table]) -> tuple[str, ...]:
        """The statements that drop tables and views, which may refer to one another."""
        return tuple(f"drop {table.kind} {self.quote_table(table.name)}" for table in tables)

    def lock_file(self, uri: str, key: str) -> Path | None:
        """A file to lock for a run, where the database has no locks of its own for that."""
        return None

    def lock(self, connection: Connection, key: str, seconds: float) -> bool:
        """Take the lock of that name for as long as the connection lives; False: another one keeps it."""
        return True  # without locks every run may begin; a second one fails where it makes the same table

    def unlock(self, connection: Connection, key: str) -> None:
        """Let go of the lock before the connection ends."""
        return

    def is_locked(self, connection: Connection, key: str) -> bool:
        """Whether some connection has that lock. Takes it from nobody, not for a moment."""
        return False

    def locate_journal(
        self, connection: Connection, journal: str, name: TableName
    ) -> tuple[TableName, TableName]:
        """The journal's tables for transfers into that table. Raises ConfigError where there is no place."""
        return self.journal_tables(journal)

    def journal_tables(self, journal: str) -> tuple[TableName, TableName]:
        """The tables of transfers and receipts; `journal` is their schema, or prefix where there are none."""
        return TableName("transfers", journal), TableName("receipts", journal)

    def find_journals(self, connection: Connection, journal: str) -> list[tuple[TableName, TableName]]:
        """The journals that there are, wherever `locate_journal` may have put them."""
        tables = self.journal_tables(journal)
        return [tables] if self.table_version(connection, tables[0]) else []

    def create_journal(self, journal: str) -> tuple[str, ...]:
        """What must exist before the journal's tables can be created."""
        return (f"create schema if not exists {self.quote(journal)}",)

    def reject_sql(self, connection: Connection, plan: TablePlan) -> RejectSQL:
        """How a writer sorts rows that the written table may refuse; asks its catalogue."""
        raise ConfigError(f"{self.name} cannot tell refused rows from others", hint="Use on_bad_rows stop")

    def triggers(self, connection: Connection, name: TableName) -> list[str]:
        """The names of the triggers that rows meet on their way into the table."""
        return []

    def foreign_keys(self, connection: Connection, name: TableName) -> set[str]:
        """The names of the table's foreign keys. Asked only where plans have references."""
        return set()

    def unchecked(self, connection: Connection, name: TableName) -> list[str]:
        """A sentence for each foreign key from or to the table that holds for new rows only."""
        return []

    def count_from_statistics(self, connection: Connection, name: TableName, rows: int) -> bool:
        """Whether server statistics prove that the table, too large to count, holds so many rows."""
        return False

    def stored(self, connection: Connection, name: TableName) -> int:
        """A counter that grows by one for each row stored in this transaction."""
        return int(connection.rows(f"select count(*) from {self.quote_table(name)}")[0][0])


def _subquery(query: str) -> str:
    # The newline ends a comment that ends the query.
    return f"({query}\n) as arrowsync_query"


def _identity(uri: str) -> str:
    """The URI without user, password and parameters; of any other text that may hold both, a digest."""
    if "://" in uri:
        parts = urlsplit(uri)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f"adbc:{hashlib.sha256(uri.encode()).hexdigest()[:12]}" if {"=", "@"} & {*uri} else f"adbc:{uri}"
