"""Appending to PostgreSQL: COPY reinterprets bytes, so every value is what it was or the plan says no."""

import datetime
import decimal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from arrowsync.core.plan import Fidelity, TablePlan
from arrowsync.core.table import Column, NativeType, Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.core.write_modes import decide
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.sqlite import SQLite
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import DataError, Refused, SchemaError
from tests.fix_postgresql import Database
from tests.unit.dialects.routes import append, by, conformed, connect, copy, frame, plan_of, write

PG = PostgreSQL()
T = TableName("t", "public")

STAMP = datetime.datetime(2024, 2, 29, 12, 30, 45, 123456)
# Arrow type -> a value of each width that the driver would store as garbage somewhere, and its text.
SOURCES: dict[str, tuple[pa.Array, str]] = {
    "int8": (pa.array([7], pa.int8()), "7"),
    "int16": (pa.array([300], pa.int16()), "300"),
    "int32": (pa.array([1633837924], pa.int32()), "1633837924"),
    "int64": (pa.array([4611686018427387904], pa.int64()), "4611686018427387904"),
    "small int64": (pa.array([5], pa.int64()), "5"),
    "uint32": (pa.array([4000000000], pa.uint32()), "4000000000"),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
    "float16": (pa.array([1.5], pa.float16()), "1.5"),
    "float32": (pa.array([0.5], pa.float32()), "0.5"),
    "float64": (pa.array([0.1], pa.float64()), "0.1"),
    "whole float64": (pa.array([7.0], pa.float64()), "7"),
    "decimal128": (pa.array([decimal.Decimal("1.005")], pa.decimal128(10, 3)), "1.005"),
    "zero decimal": (pa.array([decimal.Decimal("0")], pa.decimal128(10, 0)), "0"),
    "decimal256": (pa.array([decimal.Decimal("1.50")], pa.decimal256(40, 2)), "1.50"),
    "string": (pa.array(["1.50"]), "1.50"),
    "two letters": (pa.array(["ab"]), "ab"),
    "one letter": (pa.array(["t"]), "t"),
    "eight letters": (pa.array(["20240229"]), "20240229"),
    "sixteen letters": (pa.array(["yyyyyyyyyyyyyyyy"]), "yyyyyyyyyyyyyyyy"),
    "large_string": (pa.array(["abc"], pa.large_string()), "abc"),
    "string_view": (pa.array(["abc"], pa.string_view()), "abc"),
    "dictionary": (pa.array(["abcd"]).dictionary_encode(), "abcd"),
    "dictionary of int": (pa.array([77], pa.int64()).dictionary_encode(), "77"),
    "binary": (pa.array([b"abcd"]), "\\x61626364"),
    "fixed binary": (pa.array([b"y" * 16], pa.binary(16)), "\\x" + "79" * 16),
    "bool": (pa.array([True]), "true"),
    "date32": (pa.array([STAMP.date()]), "2024-02-29"),
    "date64": (pa.array([STAMP.date()], pa.date64()), "2024-02-29"),
    "time32": (pa.array([45045], pa.time32("s")), "12:30:45"),
    "time64": (pa.array([STAMP.time()], pa.time64("us")), "12:30:45.123456"),
    "timestamp s": (pa.array([STAMP.replace(microsecond=0)], pa.timestamp("s")), "2024-02-29 12:30:45"),
    "timestamp us": (pa.array([STAMP], pa.timestamp("us")), "2024-02-29 12:30:45.123456"),
    "timestamp ns": (pa.array([STAMP], pa.timestamp("ns")), "2024-02-29 12:30:45.123456"),
    "timestamp tz": (
        pa.array([STAMP], pa.timestamp("us", "Europe/Berlin")),
        "2024-02-29 12:30:45.123456+00",
    ),
    "duration": (pa.array([90_000_001], pa.duration("us")), "90.000001 s"),
    "uuid": (pa.array([uuid.UUID(bytes=b"y" * 16).bytes], pa.uuid()), str(uuid.UUID(bytes=b"y" * 16))),
    "json": (pa.array(['{"a":  1}'], pa.json_()), '{"a":  1}'),
    "list of int32": (pa.array([[1, None]], pa.list_(pa.int32())), "{1,NULL}"),
    "list of int64": (pa.array([[1, None]], pa.list_(pa.int64())), "{1,NULL}"),
    "list of string": (pa.array([["a", None]], pa.list_(pa.string())), "{a,NULL}"),
    "null": (pa.nulls(1), ""),
}
TARGETS = (
    *(
        "smallint",
        "integer",
        "posint",
        "bigint",
        "real",
        "double precision",
        "numeric",
        "numeric(10,2)",
        "money",
    ),
    *(
        "text",
        "varchar(3)",
        "char(3)",
        "citext",
        "name",
        '"char"',
        "xml",
        "uuid",
        "json",
        "jsonb",
        "bytea",
        "bit(8)",
    ),
    *("timestamp", "timestamp(0)", "timestamptz", "date", "time", "timetz", "interval", "boolean", "oid"),
    *("integer[]", "bigint[]", "numeric[]", "text[]", "mood", "inet", "price", "dts", "dj", "int4range"),
)


@pytest.fixture
def target(postgresql: Database) -> Iterator[AdbcConnection]:
    postgresql.execute(
        "create extension if not exists citext; create type mood as enum ('ab', 'abc', 't'); "
        "create domain posint as int check (value > 0); create domain price as numeric(12,4); "
        "create domain dts as timestamptz(3); create domain dj as jsonb; set client_min_messages = error"
    )
    with connect(PG, postgresql.uri, read_only=False) as connection:
        yield connection


def stored(target: AdbcConnection) -> list[object]:
    return [value for (value,) in target.rows("select v::text from t")]


def test_every_arrow_type_into_every_column_keeps_the_value_or_refuses(target: AdbcConnection) -> None:
    types = {f"t{n}": type for n, type in enumerate(TARGETS) if type != "xml" or has_xml(target)}
    for name, type in types.items():
        target.run(f"create table {name} (v {type})")
    tables = PG.describe(target, [TableName(name, "public") for name in types])
    wrong, kept = [], 0
    for source in SOURCES:
        for table in tables:
            found = outcome(target, table, types[table.name.name], source)
            kept += found == "kept"
            if found not in ("kept", "refused"):
                wrong.append((source, types[table.name.name], found))
    assert not wrong
    assert kept >= 170


def outcome(target: AdbcConnection, table: Table, type: str, source: str) -> str:
    array, text = SOURCES[source]
    frame_table, forms = frame(("v", array))
    transfer = asked(mode="append", allow_lossy=True)
    try:
        _, plans = PG.design(frame_table, forms, transfer, table.name, table)
        plan = TablePlan(transfer, frame_table, table, plans, write=decide("append", exists=True))
        batch = pa.RecordBatch.from_arrays([array], names=["v"])
        write(target, plan, list(conformed(plan, [batch])))
    except (SchemaError, DataError, Refused, pa.ArrowInvalid):
        return "refused"
    literal = "null" if source == "null" else f"'{text}'"
    found, expected = target.rows(f"select v::text, ({literal}::{type})::text from {table.name}")[0]
    target.run(f"truncate {table.name}")
    return "kept" if found == expected else f"{found!r} instead of {expected!r}"


def has_xml(target: AdbcConnection) -> bool:
    try:
        return bool(target.rows("select '<a/>'::xml::text"))
    except SchemaError:
        return False


# -- casts: conversions that a user asks for ---------------------------------------------------------------

CASTS = [
    (pa.array(["007", "-5", None]), "int", ["7", "-5", None]),
    (pa.array(["1.50", "-.5", "1e3"]), "decimal(12,2)", ["1.50", "-0.50", "1000.00"]),
    (pa.array(["1.50"]), "numeric", ["1.50"]),
    (pa.array([1.1, 0.07]), "decimal(12,2)", ["1.10", "0.07"]),
    (pa.array([0.1, 1e22]), "numeric", ["0.1", "10000000000000000000000"]),
    (pa.array(["0.1", "nan", "-inf"]), "double", ["0.1", "NaN", "-Infinity"]),
    (pa.array(["yes", "F", "0", None]), "boolean", ["true", "false", "false", None]),
    (pa.array([1, 0]), "bool", ["true", "false"]),
    (pa.array([True, False]), "bigint", ["1", "0"]),
    (pa.array([7.0]), "smallint", ["7"]),
    (pa.array(["2024-02-29"]), "date", ["2024-02-29"]),
    (pa.array(["2024-02-29 12:30:45.5"]), "timestamp", ["2024-02-29 12:30:45.5"]),
    (pa.array(["2024-02-29 12:30:45+05:30"]), "timestamptz", ["2024-02-29 07:00:45+00"]),
    (pa.array(["12:30:45"]), "time", ["12:30:45"]),
    (pa.array([1709209845, 0]), "timestamptz", ["2024-02-29 12:30:45+00", "1970-01-01 00:00:00+00"]),
    (pa.array([2460370.021354167]), "timestamp", ["2024-02-29 12:30:45"]),
    (pa.array([STAMP.replace(hour=0, minute=0, second=0, microsecond=0)]), "date", ["2024-02-29"]),
    (pa.array(["79797979-7979-7979-7979-797979797979"]), "uuid", ["79797979-7979-7979-7979-797979797979"]),
    (pa.array([b"y" * 16, None], pa.large_binary()), "uuid", ["79797979-7979-7979-7979-797979797979", None]),
    (pa.array(["P1M2D", None]), "interval", ["P1M2D", None]),
    (pa.array(['{"a":  1}']), "json", ['{"a":  1}']),
    (pa.array(['{"a":  1}']), "jsonb", ['{"a": 1}']),
    (pa.array(["1.2.3.4/24", None]), "inet", ["1.2.3.4/24", None]),
    (pa.array(["ab"]), "public.mood", ["ab"]),
    (pa.array(["{1,2}"]), "int[]", ["{1,2}"]),
    (pa.array([5]), "text", ["5"]),
    (pa.array([5]), "varchar(20)", ["5"]),
]


@pytest.mark.parametrize(("array", "type", "expected"), CASTS, ids=[f"{a.type} {t}" for a, t, _ in CASTS])
def test_a_cast_converts(
    target: AdbcConnection, array: pa.Array, type: str, expected: list[str | None]
) -> None:
    append(target, T, ("v", array), cast={"v": type})
    assert stored(target) == expected


@pytest.mark.parametrize(
    ("array", "type"),
    [
        (pa.array(["0x1A"]), "int"),
        (pa.array(["1.5"]), "int"),
        (pa.array(["1.505"]), "decimal(12,2)"),
        (pa.array(["12345.5"]), "decimal(5,2)"),
        (pa.array(["1_000"]), "numeric"),
        (pa.array(["NaN "]), "numeric"),
        (pa.array([0.129]), "decimal(12,2)"),
        (pa.array([1.5]), "int"),
        (pa.array([2]), "boolean"),
        (pa.array(["maybe"]), "boolean"),
        (pa.array(["now"]), "timestamp"),
        (pa.array(["Feb 29 2024"]), "date"),
        (pa.array(["2024-02-30"]), "date"),
        (pa.array(["0000-01-01"]), "date"),
        (pa.array([STAMP]), "date"),
        (pa.array([2**62]), "timestamp"),
        (pa.array(["1.2.3.4.5"]), "inet"),
        (pa.array([b"y" * 15]), "uuid"),
        (pa.array(["too long"]), "varchar(3)"),
    ],
)
def test_a_cast_that_would_change_a_value_refuses(target: AdbcConnection, array: pa.Array, type: str) -> None:
    with pytest.raises((Refused, pa.ArrowInvalid, DataError)):
        append(target, T, ("v", array), cast={"v": type})
    assert target.rows("select count(*) from t") == [(0,)]


@pytest.mark.parametrize(
    ("type", "value", "cast"),
    [
        ("text", "0x1A", "int"),
        ("text", "now", "timestamp"),
        ("timestamp", "2024-02-29 12:00", "date"),
        ("real", "1.5", "int"),
    ],
)
def test_a_cast_leaves_nothing_to_the_servers_liberal_input(
    target: AdbcConnection, type: str, value: str, cast: str
) -> None:
    target.run(f"create table source as select '{value}'::{type} as v")
    plan = plan_of(target, target, TableName("source"), T, cast={"v": cast})
    target.run(plan.write.before[0])
    for route in plan.columns[0].routes:
        with pytest.raises((Refused, pa.ArrowInvalid)):
            copy(target, target, by(plan, "v", route))
    assert target.rows("select count(*) from t") == [(0,)]


@pytest.mark.parametrize(
    ("type", "into", "kept", "cut"),
    [
        ("interval", "interval year", "2 years", "1 year 2 mons 3 days"),
        ("interval", "interval year", "2 years", "1 year 1 mon -30 days"),
        ("interval", "interval(3)", "0.125 s", "0.1255 s"),
        ("interval[]", "interval day to minute[]", "{1 day}", "{1 day 1 second}"),
        ("numeric", "price", "1.5000", "1.00005"),
    ],
)
def test_a_value_with_more_digits_or_fields_than_the_column_keeps_is_a_bad_row(
    target: AdbcConnection, type: str, into: str, kept: str, cut: str
) -> None:
    target.run(f"create table t (v {into})")
    target.run(f"create table good as select '{kept}'::{type} as v")
    target.run(f"create table bad as select '{cut}'::{type} as v")
    copy(target, target, plan_of(target, target, TableName("good"), T, mode="append"))
    plan = plan_of(target, target, TableName("bad"), T, mode="append")
    for route in plan.columns[0].routes:
        with pytest.raises(DataError, match="is no"):
            copy(target, target, by(plan, "v", route))
    assert target.rows(f"select v = '{kept}'::{into} from t") == [(True,)]


def test_a_duration_that_an_interval_would_cut_is_refused(target: AdbcConnection) -> None:
    target.run("create table t (v interval(3))")
    append(target, T, ("v", pa.array([1_500_000], pa.duration("us"))), mode="append")
    with pytest.raises(Refused, match="more digits"):
        append(target, T, ("v", pa.array([1_500_001], pa.duration("us"))), mode="append")
    assert stored(target) == ["PT1.5S"]
    target.run("alter table t alter v type interval year")
    with pytest.raises(SchemaError, match="does not fit interval year"):
        append(target, T, ("v", pa.array([1_500_000], pa.duration("us"))), mode="append")


@pytest.mark.parametrize(
    ("type", "value", "cast", "reason"),
    [
        ("numeric(20,2)", "12345678.91", "real", "nearest to each decimal"),
        ("numeric(20,2)", "12345678.91", "float8", "nearest to each decimal"),
        ("numeric", "0.1234567890123456789", "float8", "nearest to each decimal"),
        ("timestamp", "2024-02-29", "timestamptz", "taken as UTC"),
    ],
)
def test_a_cast_that_changes_values_is_lossy(
    target: AdbcConnection, type: str, value: str, cast: str, reason: str
) -> None:
    target.run(f"create table source as select '{value}'::{type} as v")
    [column] = plan_of(target, target, TableName("source"), T, cast={"v": cast}).columns
    assert {route.fidelity for route in column.routes} == {Fidelity.LOSSY}
    assert reason in column.route.reason


@pytest.mark.parametrize(
    ("type", "cast", "kept", "changed"),
    [
        ("text", '"char"', "a", "abc"),
        ("varchar(10)", '"char"', "\\377", "é"),
        ("text[]", '"char"[]', "{a}", "{abc}"),
        ("varchar(10)", "char(5)", "abc", "ab  "),
        ("text", "char(5)", "abc  ", " "),
        ("text", "bpchar", "abc", "abc "),
    ],
)
def test_a_text_that_a_column_of_blanks_or_one_byte_would_change_is_refused(
    target: AdbcConnection, type: str, cast: str, kept: str, changed: str
) -> None:
    target.run(f"create table good as select '{kept}'::{type} as v")
    target.run(f"create table bad as select '{changed}'::{type} as v")
    plan = plan_of(target, target, TableName("good"), T, cast={"v": cast})
    assert {route.fidelity for route in plan.columns[0].routes} == {Fidelity.WIDENED}
    target.run(plan.write.before[0])
    copy(target, target, plan)
    bad = plan_of(target, target, TableName("bad"), T, cast={"v": cast})
    for route in bad.columns[0].routes:
        with pytest.raises((Refused, DataError)):
            copy(target, target, by(bad, "v", route))
    assert target.rows(f"select v = '{kept}'::{cast} from t") == [(True,)]


def test_blanks_of_a_char_column_stay_blanks(target: AdbcConnection) -> None:
    target.run("create table source as select 'ab'::char(3) as v")
    target.run("create table t (v char(5))")
    plan = plan_of(target, target, TableName("source"), T, mode="append")
    assert plan.columns[0].route.fidelity is Fidelity.EXACT
    copy(target, target, plan)
    assert stored(target) == ["ab"]


def test_a_real_as_numeric_or_text_is_its_own_shortest_decimal(target: AdbcConnection) -> None:
    target.run("create table source as select 1.1::real as v, 1e-7::real as w, 1.1::real as t")
    plan = plan_of(target, target, TableName("source"), T, cast={"v": "numeric", "w": "numeric", "t": "text"})
    target.run(plan.write.before[0])
    copy(target, target, plan)
    assert target.rows("select v::text, w::text, t from t") == [("1.1", "0.0000001", "1.1")]


def test_what_an_exact_route_refuses_takes_no_lossy_one(
    target: AdbcConnection, sqlite_file: Callable[..., Path]
) -> None:
    path = sqlite_file("create table t (v decimal(10,2)); insert into t values (12345678.91)")
    with connect(SQLite(), str(path), read_only=True) as source:
        plan = plan_of(source, target, TableName("t"), T, cast={"v": "real"})
        target.run(plan.write.before[0])
        for route in plan.columns[0].routes:
            assert route.fidelity is Fidelity.EXACT
            with pytest.raises(Refused, match="no float32"):
                copy(source, target, by(plan, "v", route))


def test_a_text_without_zone_as_a_time_with_one_is_lossy(
    target: AdbcConnection, sqlite_file: Callable[..., Path]
) -> None:
    path = sqlite_file("create table t (v datetime); insert into t values ('2024-02-29 12:00:00')")
    with connect(SQLite(), str(path), read_only=True) as source:
        plan = plan_of(source, target, TableName("t"), T, cast={"v": "timestamptz"})
    assert [route.fidelity for route in plan.columns[0].routes] == [Fidelity.LOSSY]
    assert "taken as UTC" in plan.columns[0].route.reason


def test_a_cast_is_said_to_be_one() -> None:
    table, forms = frame(("v", pa.array(["1"])))
    _, (plan,) = PG.design(table, forms, asked(cast={"v": "int"}), T, None)
    assert plan.route.fidelity is Fidelity.WIDENED
    assert "cast" in plan.route.reason


@pytest.mark.parametrize("type", ["int; drop table t", "int default 5", "", "a.b.c", "numeric(x)"])
def test_a_cast_to_something_that_is_no_type_name_is_refused(type: str) -> None:
    table, forms = frame(("v", pa.array(["1"])))
    with pytest.raises(SchemaError):
        PG.design(table, forms, asked(cast={"v": type}), T, None)


def asked(**arguments: object) -> Transfer:
    return Transfer.of("frame", "postgresql://b:1/b", **arguments)


# -- columns of existing tables ----------------------------------------------------------------------------


def existing(*columns: Column) -> Table:
    return Table(T, "postgresql", columns)


def column(name: str, type: str = "bigint", **facts: object) -> Column:
    return Column(name, type, NativeType("postgresql", type), **facts)  # type: ignore[arg-type]  # a test's shorthand


def test_columns_match_by_name_exactly_or_as_the_only_one_but_for_case() -> None:
    table, forms = frame(("ID", pa.array([1])), ("name", pa.array(["a"])))
    into = existing(column("name", "text"), column("Name", "text"), column("id"))
    _, plans = PG.design(table, forms, asked(mode="append"), T, into)
    assert [(plan.source.name, plan.target.name) for plan in plans] == [("ID", "id"), ("name", "name")]


def test_a_missing_column_is_a_schema_error_with_near_names() -> None:
    table, forms = frame(("totl", pa.array([1])))
    with pytest.raises(SchemaError, match="total"):
        PG.design(table, forms, asked(mode="append"), T, existing(column("total"), column("id")))


def test_a_rename_finds_its_column() -> None:
    table, forms = frame(("totl", pa.array([1])))
    _, (plan,) = PG.design(
        table, forms, asked(mode="append", rename={"totl": "total"}), T, existing(column("total"))
    )
    assert plan.target.name == "total"


@pytest.mark.parametrize(
    "facts", [{"default": "7"}, {"identity": "always"}, {"generated": "id + 1"}, {"nullable": True}]
)
def test_a_target_column_that_fills_itself_may_be_missing_in_the_source(facts: dict[str, object]) -> None:
    table, forms = frame(("id", pa.array([1])))
    into = existing(column("id"), column("more", **{"nullable": False, **facts}))
    _, plans = PG.design(table, forms, asked(mode="append"), T, into)
    assert len(plans) == 1


def test_a_target_column_that_needs_a_value_is_a_schema_error() -> None:
    table, forms = frame(("id", pa.array([1])))
    with pytest.raises(SchemaError, match="not null"):
        PG.design(
            table, forms, asked(mode="append"), T, existing(column("id"), column("more", nullable=False))
        )


def test_a_column_that_does_not_fit_says_how_to_cast() -> None:
    table, forms = frame(("id", pa.array(["a"])))
    with pytest.raises(SchemaError, match=r"string does not fit bigint.*cast"):
        PG.design(table, forms, asked(mode="append"), T, existing(column("id")))


# -- traps of the driver and of COPY -----------------------------------------------------------------------


def test_generated_columns_are_left_to_the_server(target: AdbcConnection) -> None:
    target.run("create table t (a int, v int generated always as (a * 2) stored)")
    append(target, T, ("a", pa.array([1, 2])), mode="append")
    assert stored(target) == ["2", "4"]


def test_identity_columns_take_the_sources_numbers(target: AdbcConnection) -> None:
    target.run("create table t (v int generated always as identity, n numeric)")
    append(target, T, ("v", pa.array([7])), ("n", pa.array(["1.50"])), cast={"n": "numeric"}, mode="append")
    append(target, T, ("v", pa.array([8])), ("n", pa.array([1])), mode="append")
    assert target.rows("select v, n::text from t order by v") == [(7, "1.50"), (8, "1")]


@pytest.mark.parametrize(
    "numbered", ["int generated always as identity", "int generated by default as identity", "serial"]
)
def test_the_next_number_follows_the_rows_that_were_appended(target: AdbcConnection, numbered: str) -> None:
    target.run(f"create table t (v {numbered}, a int)")
    append(target, T, ("v", pa.array([41])), mode="append")
    target.run("insert into t (a) values (1)")
    append(target, T, ("v", pa.array([7])), mode="append")
    target.run("insert into t (a) values (1)")
    assert [v for (v,) in target.rows("select v from t order by v")] == [7, 41, 42, 43]


def test_a_temporary_table_of_the_same_name_is_not_the_target(target: AdbcConnection) -> None:
    target.run("create table t (v int)")
    target.run("create temporary table t (v int)")
    append(target, T, ("v", pa.array([1])), mode="append")
    assert target.rows("select (select count(*) from public.t), (select count(*) from pg_temp.t)") == [(1, 0)]


@pytest.mark.parametrize("name", ['a "q" b', "Name", "select", "ünï.cödé", "a{}b%s'$1", "\\"])
def test_any_name_works(target: AdbcConnection, name: str) -> None:
    into = TableName(name, "public")
    arrays = [(name, pa.array(["x"])), ("n", pa.array(["1.50"]))]  # the second by way of a staging table
    append(target, into, *arrays, cast={"n": "numeric"})
    append(target, into, *arrays, cast={"n": "numeric"}, mode="append")
    assert target.rows(f"select count(*), count({PG.quote(name)}) from {PG.quote_table(into)}") == [(2, 2)]


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32, "a\0b"])
def test_a_name_that_the_server_would_cut_is_a_schema_error(name: str) -> None:
    table, forms = frame((name, pa.array([1])))
    with pytest.raises(SchemaError, match="rename"):
        PG.design(table, forms, asked(), T, None)


def test_more_columns_than_a_table_has_are_a_schema_error(target: AdbcConnection) -> None:
    with pytest.raises(SchemaError, match="1600"):
        append(target, T, *((f"c{n}", pa.array([1])) for n in range(1601)))


@pytest.mark.parametrize("nul", ["quarantine", "error"])
def test_u0000_is_a_bad_row_that_names_its_column(target: AdbcConnection, nul: str) -> None:
    with pytest.raises(DataError) as caught:
        append(target, T, ("v", pa.array(["a\0b"])), nul=nul)
    assert caught.value.column == "v"


def test_u0000_is_taken_out_when_asked_and_said(target: AdbcConnection) -> None:
    plan = append(target, T, ("v", pa.array(["a\0b", None])), nul="strip")
    assert stored(target) == ["ab", None]
    assert plan.columns[0].route.fidelity is Fidelity.LOSSY


@pytest.mark.parametrize("value", [1, -1, 999])
def test_nanoseconds_are_refused_not_cut(target: AdbcConnection, value: int) -> None:
    with pytest.raises(pa.ArrowInvalid):
        append(target, T, ("v", pa.array([value], pa.timestamp("ns"))))


def test_a_foreign_timestamp_near_the_limits_is_refused_not_wrapped(target: AdbcConnection) -> None:
    for value in (-(2**63), -(2**63) + 1, -211_000_000_000_000_000):
        with pytest.raises((pa.ArrowInvalid, Refused, DataError)):
            append(target, T, ("v", pa.array([value], pa.timestamp("us"))))
    for days in (-(2**31), -2_147_472_692, -2_147_472_691):
        with pytest.raises((Refused, DataError)):
            append(target, TableName("d", "public"), ("v", pa.array([days], pa.int32()).view(pa.date32())))


def test_a_trigger_that_drops_rows_shows_in_the_count(target: AdbcConnection) -> None:
    target.run("create table t (v int)")
    target.run(
        "create function drop_odd() returns trigger language plpgsql as "
        "'begin if new.v % 2 = 1 then return null; end if; return new; end'"
    )
    target.run("create trigger drops before insert on t for each row execute function drop_odd()")
    target.run("begin")
    before = PG.stored(target, T)
    assert target.ingest("t", reader(pa.array(range(10), pa.int32())), {"db_schema_name": "public"}) == 10
    assert PG.stored(target, T) - before == 5
    target.run("rollback")


def test_the_count_covers_all_partitions_of_a_table(target: AdbcConnection) -> None:
    target.run("create table t (v int) partition by range (v)")
    target.run("create table t1 partition of t for values from (0) to (5)")
    target.run("create table t2 partition of t for values from (5) to (10)")
    target.run("begin")
    before = PG.stored(target, T)
    target.ingest("t", reader(pa.array(range(10), pa.int32())), {"db_schema_name": "public"})
    assert PG.stored(target, T) - before == 10
    target.run("rollback")


def reader(array: pa.Array) -> pa.RecordBatchReader:
    batch = pa.RecordBatch.from_arrays([array], names=["v"])
    return pa.RecordBatchReader.from_batches(batch.schema, [batch])
