"""What a copy will need: rights, types, no view in its way; asked while it is planned, not half way."""

from __future__ import annotations

from arrowsync.core.contracts import Connection
from arrowsync.core.plan import TablePlan
from arrowsync.core.table import Table, TableName
from arrowsync.dialects.dialect import Dialect
from arrowsync.dialects.postgresql.errors import POLICY
from arrowsync.errors import ArrowsyncError, ConfigError, SchemaError, TransientError

# Of views too; a right to the whole table is one to each of its columns.
_DENIED = """
select attname from pg_attribute
where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
    and not has_column_privilege(attrelid, attnum, $2)
"""
_IS_HIDDEN = "select row_security_active(to_regclass($1)) and current_setting('row_security') = 'off'"
_IS_OWNER = "select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass($1)"
_MAY_CREATE = "select has_schema_privilege(oid, 'create') from pg_namespace where nspname = $1"

_UNAVAILABLE = """
select name from unnest($1::text[]) as needed (name)
where name not in (select extname from pg_extension union all select name from pg_available_extensions)
"""

_VIEWS = """
select distinct v.oid::regclass::text from pg_depend d
join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass($1) order by 1
"""


def check_reading(dialect: Dialect, connection: Connection, table: Table) -> None:
    """Raises ConfigError when a column of the table may not be read, or a policy would hide its rows."""
    names = [column.name for column in table.columns]
    _check_columns(dialect, connection, table.name, names, "select")
    if connection.rows(_IS_HIDDEN, [dialect.quote_table(table.name)]) == [(True,)]:
        raise _denied(f"row-level security hides rows of table {table.name}", POLICY)


def check_writing(dialect: Dialect, connection: Connection, plan: TablePlan) -> None:
    """Raises ConfigError when the target may not be made, filled or replaced as planned."""
    name = plan.target.name
    _check_casts(connection, plan)
    if plan.write.makes_table:
        _check_creating(dialect, connection, name)
        _check_extensions(connection, plan)
    if plan.write.swaps:
        if not connection.rows(_IS_OWNER, [dialect.quote_table(name)])[0][0]:
            raise _denied(f"must be owner of table {name}", "Run it as the owner, or use mode append")
        _check_views(dialect, connection, name)
    elif plan.write.exists:
        names = [column.target.name for column in plan.columns]
        _check_columns(dialect, connection, name, names, "insert")


def _check_casts(connection: Connection, plan: TablePlan) -> None:
    """The server knows which types there are, and what may stand in their brackets."""
    made = {type.name for type in plan.target.types}
    for column in plan.columns:
        wanted, type = plan.transfer.cast.get(column.source.name), column.target.type
        if wanted is None or type in made:
            continue
        try:
            connection.rows(f"select null::{type} where false")
        except TransientError:
            raise
        except ArrowsyncError as error:
            raise ConfigError(f"cast to {wanted!r}: {error.message}", column=column.source.name) from error


def _check_extensions(connection: Connection, plan: TablePlan) -> None:
    """The plan makes an extension that its types need, where the server has its files."""
    needed = sorted({type.extension for type in plan.target.types if type.extension})
    for (extension,) in connection.rows(_UNAVAILABLE, [needed]) if needed else ():
        raise SchemaError(
            f"it needs the extension {extension!r}, which the target's server does not have",
            hint="Install it there, or choose other types with cast",
        )


def _check_views(dialect: Dialect, connection: Connection, name: TableName) -> None:
    """The old table goes when all rows are in, and none goes from under a view."""
    if views := connection.rows(_VIEWS, [dialect.quote_table(name)]):
        listed = ", ".join(str(view) for (view,) in views)
        raise ConfigError(
            f"table {name} cannot be replaced: views read it: {listed}",
            hint="Drop them and make them again afterwards, or empty the table and use mode append",
        )


def _check_columns(
    dialect: Dialect, connection: Connection, name: TableName, columns: list[str], right: str
) -> None:
    denied = {str(column) for (column,) in connection.rows(_DENIED, [dialect.quote_table(name), right])}
    if not (missing := denied.intersection(columns)):
        return
    listed = "" if missing == set(columns) else f" ({', '.join(sorted(missing))})"
    raise _denied(
        f"permission denied for table {name}{listed}: no right to {right}",
        f"grant {right}{listed} on {dialect.quote_table(name)} to {_user(dialect, connection)}",
    )


def _check_creating(dialect: Dialect, connection: Connection, name: TableName) -> None:
    if name.schema is not None and connection.rows(_MAY_CREATE, [name.schema]) == [(False,)]:
        raise _denied(
            f"permission denied for schema {name.schema}: no right to create tables",
            f"grant create on schema {dialect.quote(name.schema)} to {_user(dialect, connection)}",
        )


def _user(dialect: Dialect, connection: Connection) -> str:
    return dialect.quote(str(connection.rows("select current_user::text")[0][0]))


def _denied(message: str, hint: str) -> ConfigError:
    return ConfigError(message, hint=hint, sqlstate="42501")
