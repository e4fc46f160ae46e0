"""Every PostgreSQL type over every route into PostgreSQL: equal as text and as wire bytes, or refused."""

from collections.abc import Callable

import psycopg
import pyarrow as pa
import pytest

from arrowsync.core.plan import Form, TablePlan
from arrowsync.core.table import TableName
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.dialects.postgresql.write_types import Target, derive, store
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import Refused
from tests.fix_postgresql import Database
from tests.type_zoo import EXT, SETUP, ZOO
from tests.unit.dialects.routes import by, connect, copy, plan_for

HOSTILE = {
    "timezone": "Asia/Kolkata",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "array_nulls": "off",
    "xmloption": "document",
    "xmlbinary": "hex",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
}
SANE = (
    "set datestyle = 'ISO, YMD'; set intervalstyle = 'iso_8601'; set timezone = 'UTC'; "
    "set extra_float_digits = 1; set bytea_output = 'hex'; set lc_monetary = 'C'; set array_nulls = on; "
    "set xmloption = content; set quote_all_identifiers = off; set standard_conforming_strings = on; "
)
# How the server itself sends the column, if those bytes hold no OIDs of types somebody made.
SENDER = """
select quote_ident(n.nspname) || '.' || quote_ident(p.proname) from pg_attribute a
join pg_type t on t.oid = a.atttypid join pg_proc p on p.oid = t.typsend
join pg_namespace n on n.oid = p.pronamespace
where a.attrelid = %s::regclass and a.attname = 'v' and t.typtype <> 'c' and t.typelem < 16384
  and t.typbasetype < 16384 and t.typname not like 'reg%%' and t.typname not in ('refcursor', '_aclitem')
"""
PG = PostgreSQL()
TYPES, VALUES = 190, 7000  # at least so many must be there on every server, whatever it was built without


@pytest.fixture
def zoos(new_database: Callable[..., Database]) -> tuple[Database, Database]:
    """Two databases with the user types, of other OIDs in the second, and settings no text should follow."""
    source, target = new_database(), new_database()
    target.execute("create type first as enum ('so', 'that', 'oids', 'differ')")
    for database in (source, target):
        for name, value in HOSTILE.items():
            database.execute(f"alter database {database.name} set {name} = '{value}'")
        with psycopg.connect(database.uri, autocommit=True) as connection:
            connection.execute(SANE)
            for statement in (
                *(f"create extension {name}" for name in EXT),
                *SETUP,
                "create table zreg (a int)",
            ):
                try_to(connection, statement)
    return source, target


def try_to(connection: psycopg.Connection, statement: str) -> bool:
    """Extensions and libxml are not on every server."""
    try:
        connection.execute(statement.encode())
    except psycopg.Error:
        return False
    return True


# Inserts those of the texts that the type takes, and says how many; one query each would be 7,000.
STORED = """
create function pg_temp.stored(place text, type text, texts text[]) returns int language plpgsql as $$
declare stored int := 0;
begin
    for number in 1 .. cardinality(texts) loop
        begin
            execute format('insert into %s values (%s, %L::%s)', place, number - 1, texts[number], type);
            stored := stored + 1;
        exception when others then  -- no value of this type
        end;
    end loop;
    return stored;
end $$;
"""


def fill(database: Database) -> dict[str, str]:
    """A table per type that the server knows -> the type: the zoo's values and a NULL."""
    made, values = {}, 0
    with psycopg.connect(database.uri, autocommit=True) as connection:
        connection.execute(f"{SANE} set search_path = public, other; {STORED}")
        for number, (key, texts) in enumerate(ZOO.items()):
            type = key.split("#")[0]
            if not try_to(connection, f"create table zoo_{number} (id int primary key, v {type})"):
                continue
            made[f"zoo_{number}"] = key
            connection.execute(f"insert into zoo_{number} values (-1, null)")
            values += connection.execute(
                "select pg_temp.stored(%s, %s, %s)", (f"zoo_{number}", type, list(texts))
            ).fetchone()[0]
    assert len(made) >= TYPES
    assert values >= VALUES
    return made


def cells(client: psycopg.Connection, table: str) -> list[tuple[object, ...]]:
    """Each value as text and, where its send format is the same everywhere, as bytes."""
    found = client.execute(SENDER, [table]).fetchone()
    send = f"encode({found[0]}(v), 'hex')" if found else "null::text"
    return client.execute(f"select id, v::text, {send} from {table} order by id".encode()).fetchall()


def test_every_route_of_every_type_is_exact_or_refuses(zoos: tuple[Database, Database]) -> None:
    source, target = zoos
    types, wrong = fill(source), []
    with (
        connect(PG, source.uri, read_only=True) as reader,
        connect(PG, target.uri, read_only=False) as writer,
        psycopg.connect(source.uri, autocommit=True) as before,
        psycopg.connect(target.uri, autocommit=True) as after,
    ):
        for client in (before, after):
            client.execute(SANE)
        for table in PG.describe(reader, [TableName(name, "public") for name in types]):
            plan = plan_for(reader, writer, table, table.name)
            for statement in plan.write.before:
                writer.run(statement)
            expected = cells(before, table.name.name)
            found = [
                outcome(reader, writer, by(plan, "v", route), after, expected)
                for route in plan.columns[1].routes
            ]
            if not set(found) <= {"exact", "refused"} or found[-1] != "exact":
                wrong.append((types[table.name.name], found))
    assert not wrong


def outcome(
    reader: AdbcConnection,
    writer: AdbcConnection,
    plan: TablePlan,
    after: psycopg.Connection,
    expected: list[tuple[object, ...]],
) -> str:
    writer.run(f"truncate {plan.target.name}")
    try:
        copy(reader, writer, plan)
    except (Refused, pa.ArrowInvalid):
        return "refused"
    found, route = cells(after, plan.target.name.name), plan.columns[1].route
    differing = [pair for pair in zip(expected, found, strict=False) if pair[0] != pair[1]]
    exact = found == expected
    return str(route.fidelity) if exact else f"{route.form.arrow}: {len(found)} rows, {differing[:2]}"


def test_an_infinite_interval_never_travels_as_bytes() -> None:
    """PostgreSQL before 17 would store those bytes as 178956970 years; it refuses the text."""
    finite, infinite = bytes(16), b"\x7f\xff\xff\xff\xff\xff\xff\xff" + b"\x7f\xff\xff\xff" * 2
    arrow = pa.opaque(pa.binary(), "interval", "PostgreSQL")
    interval = TypeName("interval")
    storage = store(Form("", pa.binary(), arrow), Target(interval, interval))
    assert storage is not None
    assert storage.encode is not None
    assert storage.encode(pa.array([finite, None])).to_pylist() == [finite, None]
    with pytest.raises(Refused):
        storage.encode(pa.array([finite, infinite]))


@pytest.mark.parametrize("item", [pa.null(), pa.list_(pa.int64())], ids=str)
def test_lists_that_are_no_array_are_left_to_json(item: pa.DataType) -> None:
    assert derive(pa.list_(item)) is None
