"""Where the journal lies: which schema, which names, and what must be made first."""

from __future__ import annotations

from arrowsync.core.contracts import Connection
from arrowsync.core.table import TableName
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.plpgsql import do_block, quote_text
from arrowsync.errors import ConfigError

_USABLE = """
select has_schema_privilege(n.oid, 'usage') and coalesce(
    (select bool_and(has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
       and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))
     from pg_class c where c.relnamespace = n.oid and c.relname in ($2, $3)),
    has_schema_privilege(n.oid, 'create'))
from pg_namespace n where n.nspname = $1
"""


def locate_journal(
    connection: Connection, dialect: Dialect, journal: str, name: TableName
) -> tuple[TableName, TableName]:
    """A schema of its own; without the right to make one, tables beside the target."""
    beside = tuple(TableName(f"{journal}_{table}", name.schema) for table in ("transfers", "receipts"))
    for transfers, receipts in (dialect.journal_tables(journal), beside):
        usable = connection.rows(_USABLE, [transfers.schema or "", transfers.name, receipts.name])
        if not usable:
            usable = connection.rows("select has_database_privilege(current_database(), 'create')")
        if usable[0][0]:
            return transfers, receipts
    raise ConfigError(
        f"no right to keep a journal: neither to create a schema {journal!r}, nor tables in {name.schema!r}",
        hint="Grant create on one of them, or copy each table in one transaction: --no-journal",
    )


def find_journals(connection: Connection, journal: str) -> list[tuple[TableName, TableName]]:
    found = connection.rows(
        """select n.nspname::text, c.relname::text
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where (n.nspname = $1 and c.relname = 'transfers' or c.relname = $1 || '_transfers')
          and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
        order by n.nspname <> $1, n.nspname""",
        [journal],
    )
    return [
        (TableName(name, schema), TableName(name.removesuffix("transfers") + "receipts", schema))
        for schema, name in found
    ]


def create_journal(dialect: Dialect, journal: str) -> tuple[str, ...]:
    """Two that create at once would fail in the catalogue, `if not exists` or not: one waits for the other.

    `create schema if not exists` wants the right to create even where there is nothing to do.
    """
    name = quote_text(journal)
    return (
        do_block(
            "begin perform pg_advisory_xact_lock(hashtextextended('arrowsync journal', 0)); "
            f"if not exists (select from pg_namespace where nspname = {name}) "
            f"then create schema {dialect.quote(journal)}; end if; end"
        ),
    )
