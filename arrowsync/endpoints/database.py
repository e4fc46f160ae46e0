"""A database behind an ADBC driver, as a source and as a sink. What differs is the dialect's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from arrowsync.core.capabilities import Capabilities
from arrowsync.core.contracts import Connection, Forms, Source
from arrowsync.core.plan import ColumnPlan, Snapshot, TablePlan
from arrowsync.core.receipts import Partition, Receipt
from arrowsync.core.table import Table, TableName, UserType, Widths
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.sqlite import SQLite
from arrowsync.endpoints.connection_cache import asking
from arrowsync.endpoints.connections import AdbcConnection, Address
from arrowsync.endpoints.database_target import DatabaseTarget
from arrowsync.endpoints.drivers import Driver, find_driver
from arrowsync.endpoints.reader import DatabaseReader
from arrowsync.endpoints.secrets import fill_in, hide, is_uri
from arrowsync.endpoints.snapshot import Readers, exported, joined, same_snapshot
from arrowsync.endpoints.writer import DatabaseWriter
from arrowsync.errors import ArrowsyncError, ConfigError, TableUnusable, TransientError

_DIALECTS: dict[str, Dialect] = {
    "postgresql": PostgreSQL(),
    "postgres": PostgreSQL(),
    "sqlite": SQLite(),
    "file": SQLite(),
}


@dataclass(frozen=True, repr=False)
class Database(DatabaseTarget):
    """A database by URI or path.

    `driver` is an ADBC library's path, a manifest's name, or a Driver. `dialect` is by default that of the
    URI's scheme; for a scheme that arrowsync does not know it is Dialect(), which serves any ADBC driver.
    Picklable; opens nothing until it is used. `${VAR}` in the URI stays unresolved until then.
    """

    uri: str
    driver: str | Driver | None = None
    dialect: Dialect | None = None

    def __post_init__(self) -> None:
        if isinstance(self.uri, os.PathLike):
            object.__setattr__(self, "uri", os.fspath(self.uri))
        if not isinstance(self.uri, str):
            # Its value may hold a password.
            raise ConfigError(f"uri must be a text or a path, not of type {type(self.uri).__name__}")
        if not isinstance(self.driver, str | Driver | None):
            raise ConfigError(f"driver must be a library's name or path, or a Driver, not {self.driver!r}")
        if not isinstance(self.dialect, Dialect | None):
            raise ConfigError(
                f"dialect must be a Dialect, not {self.dialect!r}",
                hint="Give a Dialect of your own, or leave it out where the URI's scheme says it",
            )

    def __repr__(self) -> str:
        return f"Database({hide(self.uri)!r})"

    def __str__(self) -> str:
        return hide(self.uri)

    @property
    def speaks(self) -> Dialect:
        """Its own dialect, or that of the URI's scheme."""
        return self.dialect or _dialect(fill_in(self.uri), self.driver)

    @property
    def address(self) -> Address:
        """What opens a connection. Raises ConfigError for a variable or a driver that is not there."""
        return Address(fill_in(self.uri), find_driver(self.speaks, self.driver), self.speaks)

    @property
    def exists(self) -> bool:
        return self.speaks.exists(fill_in(self.uri))

    def connect(self, *, read_only: bool = True) -> AdbcConnection:
        return AdbcConnection(self.address, read_only=read_only)

    @property
    def identity(self) -> str:
        return self.speaks.identity(fill_in(self.uri))

    def through_policies(self) -> Database:
        """The database as policies show it to this user. Raises ConfigError where it knows none."""
        return replace(self, dialect=self.speaks.through_policies())

    # -- Source --------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        return self.speaks.capabilities

    @property
    def server(self) -> str | None:
        return self.speaks.server(fill_in(self.uri))

    def default_schema(self) -> str | None:
        if (known := self.capabilities.default_schema) is not None or not self.exists:
            return known
        with asking(self.address) as connection:
            return self.speaks.default_schema(connection)

    def names(self, *, views: bool = False) -> list[TableName]:
        with asking(self.address) as connection:
            return self.speaks.names(connection, views=views)

    def describe_query(self, name: TableName, query: str) -> Table:
        with asking(self.address) as connection:
            return self.speaks.describe_query(connection, name, query)

    def describe(self, names: Sequence[TableName]) -> list[Table]:
        with asking(self.address) as connection:
            return self.speaks.describe(connection, names)

    def check_reading(self, table: Table, where: str | None = None) -> None:
        """See Source.check_reading."""
        with asking(self.address) as connection:
            try:
                self.speaks.check_reading(connection, table)
                connection.rows(f"select 1 from {self.speaks.relation(table)} limit 0")
            except TransientError:
                raise
            except ArrowsyncError as error:
                raise TableUnusable(
                    error.message, table=str(table.name), hint=error.hint, sqlstate=error.sqlstate
                ) from error
            if where is not None:
                self._check_where(connection, table, where)

    def _check_where(self, connection: Connection, table: Table, where: str) -> None:
        try:
            # Without parentheses, where `a) or (b` is an error.
            connection.rows(f"select 1 from {self.speaks.relation(table)} where {where}\nlimit 0")
        except TransientError:
            raise
        except ArrowsyncError as error:
            raise ConfigError(f"where {where!r}: {error.message}", table=str(table.name)) from error

    def widths(self, table: Table, where: str | None = None) -> Widths | None:
        with asking(self.address) as connection:
            return self.speaks.widths(connection, table, where)

    def forms(self, table: Table) -> Forms:
        with asking(self.address) as connection:
            return self.speaks.forms(connection, table)

    def sampled(self, table: Table) -> Forms | None:
        with asking(self.address) as connection:
            return self.speaks.sampled(connection, table)

    @contextmanager
    def snapshot(self, readers: int = 1, *, locking: Sequence[TablePlan] = ()) -> Iterator[Snapshot]:
        dialect = self.speaks
        if dialect.capabilities.export_snapshot is not None:
            with exported(self.address, locking) as snapshot:
                yield snapshot
            return
        with same_snapshot(self.address, readers) as connections:
            yield Snapshot(token=dialect.snapshot_token(connections[0]), shared=Readers(connections))

    def partitions(self, table: Table, *, target_bytes: int) -> list[Partition]:
        with asking(self.address) as connection:
            return self.speaks.partitions(connection, table, target_bytes)

    def slices(self, plan: TablePlan, *, target_bytes: int) -> list[tuple[Partition, ...]]:
        with asking(self.address) as connection:
            return self.speaks.slices(connection, plan, target_bytes)

    def rows_meant(self, plan: TablePlan, snapshot: Snapshot) -> int | None:
        with joined(self.address, snapshot, plan) as connection:
            return int(connection.rows(self.speaks.count(plan))[0][0])

    def states(self, plans: Sequence[TablePlan]) -> list[Mapping[str, Any]]:  # Any: JSON
        with asking(self.address) as connection:
            return [self.speaks.state(connection, plan) for plan in plans]

    def unchanged(
        self, plan: TablePlan, receipts: Sequence[Receipt], state: Mapping[str, Any], snapshot: Snapshot
    ) -> bool:
        with joined(self.address, snapshot, plan) as connection:
            return self.speaks.unchanged(connection, plan, receipts, state, snapshot.state or {})

    def open_reader(
        self, plan: TablePlan, partition: Partition, snapshot: Snapshot, *, batch_bytes: int
    ) -> DatabaseReader:
        return DatabaseReader(self.address, plan, partition, snapshot, batch_bytes=batch_bytes)

    # -- Sink ----------------------------------------------------------------------------------------------

    def largest_partition(self, table: Table, transfer: Transfer) -> int | None:
        return None

    def is_source(self, source: Source) -> bool:
        if not isinstance(source, Database) or source.speaks.name != self.speaks.name:
            return False
        if source.identity == self.identity:
            return True
        if (file := self.speaks.file(fill_in(self.uri))) is not None:
            return file == source.speaks.file(fill_in(source.uri))
        if not self.exists:
            return False
        with asking(self.address) as here, asking(source.address) as there:
            return self.speaks.is_same(here, there)

    def resolve_name(self, name: TableName) -> TableName:
        if not self.exists:
            self.speaks.options(fill_in(self.uri), read_only=False)  # raises where none can come into being
            return TableName(name.name)  # only files come into being, and files have no schemas
        with asking(self.address) as connection:
            return self.speaks.resolve_name(connection, name)

    def normalize_name(self, name: TableName) -> TableName:
        return self.speaks.normalize_name(name)

    def find(self, name: TableName) -> Table | None:
        if not self.exists:
            return None
        with asking(self.address) as connection:
            tables = self.speaks.describe(connection, [name])
            return tables[0] if tables else None

    def is_empty(self, name: TableName) -> bool:
        with asking(self.address) as connection:
            return not connection.rows(f"select 1 from {self.speaks.quote_table(name)} limit 1")

    def design(
        self,
        source: Table,
        forms: Forms,
        transfer: Transfer,
        name: TableName,
        existing: Table | None,
        replaced: Table | None = None,
    ) -> tuple[Table, tuple[ColumnPlan, ...]]:
        types = self._types_called(source)
        return self.speaks.design(source, forms, transfer, name, existing, replaced, types)

    def _types_called(self, source: Table) -> tuple[UserType, ...]:
        if not self.exists:
            return ()
        with asking(self.address) as connection:
            return self.speaks.user_types(connection, source)

    def reserve_names(self, plans: Sequence[TablePlan]) -> list[TablePlan]:
        if not self.exists:
            return list(plans)
        with asking(self.address) as connection:
            return self.speaks.reserve_names(connection, plans)

    def statements(self, plan: TablePlan) -> TablePlan:
        if self.exists:
            with asking(self.address) as connection:
                self.speaks.check_privileges(connection, plan)
                # One that drops a row and adds another passes the count, which sees sums only.
                names = self.speaks.triggers(connection, plan.write_table) if plan.write.exists else []
                warnings = self.speaks.lost(connection, plan)
            if names:
                warnings.append(f"triggers of the target may change rows: {', '.join(names)}")
            plan = replace(plan, warnings=(*plan.warnings, *warnings))
        self._rehearse(plan)
        return self.speaks.statements(plan)

    def _rehearse(self, plan: TablePlan) -> None:
        if statements := self.speaks.rehearsed(plan):
            with asking(replace(self.address, dialect=self.speaks.scratch)) as connection:
                connection.run("begin")
                for statement in statements:
                    connection.run(statement)
                connection.run("rollback")

    def view(self, table: Table, transfer: Transfer) -> tuple[str, ...]:
        return self.speaks.view(table, transfer, self._types_called(table))

    def journal_for(self, name: TableName, journal: str) -> tuple[TableName, TableName]:
        """The journal's tables for transfers into that table. Raises ConfigError where there is no place."""
        if not self.exists:
            return self.speaks.journal_tables(journal)
        with asking(self.address) as connection:
            return self.speaks.locate_journal(connection, journal, name)

    def open_writer(self, plan: TablePlan, partition: Partition) -> DatabaseWriter:
        return DatabaseWriter(self.address, plan, partition)

    def count(self, name: TableName, expected: int | None = None) -> int:
        with asking(self.address) as connection:
            if expected is not None and self.speaks.count_from_statistics(connection, name, expected):
                return expected
            return int(connection.rows(f"select count(*) from {self.speaks.quote_table(name)}")[0][0])


def _dialect(uri: str, driver: str | Driver | None) -> Dialect:
    scheme = uri.partition(":")[0]
    name = scheme.partition("+")[0].lower()
    if name in _DIALECTS:
        return _DIALECTS[name]
    if is_uri(uri) and driver is not None:
        return Dialect()
    if is_uri(uri):
        raise ConfigError(
            f"unknown scheme {scheme!r} in {hide(uri)!r}",
            hint=f"Known are {', '.join(_DIALECTS)}; others need a driver: Database(uri, driver=…)",
        )
    if "=" in uri and any(word in uri for word in ("host=", "dbname=", "service=")):
        return _DIALECTS["postgresql"]
    return _DIALECTS["sqlite"]
