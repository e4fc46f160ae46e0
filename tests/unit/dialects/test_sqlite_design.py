"""What a SQLite table is made of and takes: declared types, routes, keys, defaults, existing columns."""

import datetime as dt
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import arrowsync
from arrowsync.core.contracts import Forms
from arrowsync.core.plan import Fidelity, Form, TablePlan
from arrowsync.core.table import Check, Column, ForeignKey, Index, Key, NativeType, Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.postgresql.read_types import TypeFacts
from arrowsync.dialects.postgresql.read_types import forms as postgresql_forms
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.dialects.sqlite import SQLite
from arrowsync.dialects.sqlite.defaults import carried_default
from arrowsync.dialects.sqlite.read_types import affinity, original_type, stored
from arrowsync.dialects.sqlite.write_types import derive
from arrowsync.errors import DataError, Refused, SchemaError
from arrowsync.types.kinds import kind
from tests.type_zoo import ZOO
from tests.unit.dialects import routes
from tests.unit.dialects.routes import by, connect, copy, plan_for, plan_of, write

SQLITE = SQLite()
Rows = Callable[[Path, str], list[tuple[Any, ...]]]


def from_postgresql(type: str, name: str = "v", **fields: Any) -> tuple[Table, Forms]:
    """A PostgreSQL table of one column, as its own dialect would offer it."""
    column = Column(name, type, NativeType("postgresql", type), **fields)
    parsed = TypeName.parse(type)
    offered = postgresql_forms(SQLITE.quote(name), TypeFacts(parsed, parsed))
    return Table(TableName("t", "public"), "postgresql", (column,)), {name: offered}


def from_arrow(arrow: pa.DataType) -> tuple[Table, Forms]:
    column = Column("v", str(arrow), NativeType("arrow", str(arrow)))
    return Table(TableName("t"), "arrow", (column,)), {"v": (Form('"v"', arrow, arrow),)}


def planned(source: tuple[Table, Forms], existing: Table | None = None, **asked: Any) -> TablePlan:
    table, forms = source
    transfer = Transfer.of("postgresql://a/a", "sqlite:///b.db", **asked)
    return routes.planned(SQLITE, table, forms, transfer, TableName("t"), existing)


def arrive(plan: TablePlan, values: pa.Array, path: Path) -> None:
    """Take the values as the first route's form has decoded them, and write them."""
    storage = plan.columns[0].route.storage
    array = storage.encode(values) if storage.encode else values
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    batch = pa.RecordBatch.from_arrays([array], names=[plan.columns[0].target.name])
    with connect(SQLITE, str(path), read_only=False) as connection:
        for statement in () if plan.write.exists else plan.write.before:
            connection.run(statement)
        write(connection, plan, [batch])


# -- declared types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", sorted({key.split("#")[0] for key in ZOO}))
def test_every_type_is_told_from_what_it_is_declared_as(type: str) -> None:
    assert original_type(stored(type).declared) == type
    assert pickle.loads(pickle.dumps(stored(type).takes)) == stored(type).takes


@pytest.mark.parametrize(
    ("type", "declared"),
    [
        ("integer", "int4"),
        ("numeric(10,2)", "numeric(10,2)"),
        ("numeric(38,10)", "TEXT numeric(38,10)"),
        ("numeric", "TEXT numeric"),
        ("character varying(5)", "character varying(5)"),
        ("name", "TEXT name"),
        ("timestamp(3) with time zone", "timestamp(3) with time zone"),
        ("interval", "TEXT interval"),
        ("other.maintenance", 'TEXT other.U&"ma\\0069ntenance"'),
        ('"Point Kind"', 'TEXT U&"Po\\0069nt Kind"'),
        ("int2vector", 'TEXT U&"\\0069nt2vector"'),
        ("bytea", "BLOB"),
    ],
)
def test_a_declared_type_keeps_the_name_and_has_the_right_affinity(type: str, declared: str) -> None:
    assert stored(type).declared == declared


@pytest.mark.parametrize(
    "declared", ["INTEGER", "VARCHAR(20)", "REAL", "", "DECIMAL(10,2)", "TEXT x.U&int", "int"]
)
def test_what_users_declare_is_none_of_ours(declared: str) -> None:
    assert original_type(declared) is None


def test_no_type_that_holds_text_has_a_numeric_affinity() -> None:
    """'007' must stay what it is; dates, times and uuids cannot look like a number."""
    harmless = (
        "date",
        "time",
        "timestamp",
        "uuid",
        "interval",
        "point",
        "int4range",
        "int8range",
        "int4multirange",
    )
    for type in {key.split("#")[0] for key in ZOO}:
        kept = stored(type)
        if "text" in kept.takes or kept.takes == ("words",):
            ours = affinity(kept.declared) == "TEXT" or type.startswith(harmless) or type.endswith("[]")
            assert ours, (type, kept.declared)


@pytest.mark.parametrize(
    ("declared", "kind"),
    [("INTEGER", "INTEGER"), ("FLOATING POINT", "INTEGER"), ("CHARINT", "INTEGER"), ("NVARCHAR(10)", "TEXT"),
     ("", "BLOB"), ("BLOB", "BLOB"), ("DOUBLE", "REAL"), ("STRING", "NUMERIC"), ("DATE", "NUMERIC")],
)  # fmt: skip
def test_affinities_are_sqlites_own(declared: str, kind: str) -> None:
    assert affinity(declared) == kind


# -- routes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "meanings"),
    [
        ("bigint", ["int"]),
        ("double precision", ["float", "float"]),
        ("numeric(10,2)", ["decimal", "words"]),
        ("timestamp without time zone", ["raw", "timestamp"]),
        ("uuid", ["words", "uuid"]),
        ("money", ["number"]),
        ("integer[]", ["words"]),
        ("jsonb", ["json", "words"]),
    ],
)
def test_a_column_travels_by_the_cheapest_exact_form(type: str, meanings: list[str]) -> None:
    routes = planned(from_postgresql(type)).columns[0].routes
    assert [kind(route.form.arrow) for route in routes] == meanings
    assert all(route.fidelity is Fidelity.EXACT for route in routes)


ARROW = [
    (pa.int8(), "smallint", [-128, None], [-128, None]),
    (pa.uint16(), "integer", [65535], [65535]),
    (pa.uint32(), "bigint", [2**32 - 1], [2**32 - 1]),
    (pa.uint64(), "numeric(20,0)", [2**64 - 1], [str(2**64 - 1)]),
    (pa.bool_(), "boolean", [True, False], [1, 0]),
    (pa.float32(), "real", [0.5], [0.5]),
    (pa.float64(), "double precision", [1e300], [1e300]),
    (pa.decimal128(10, 2), "numeric(10,2)", [Decimal("1.50")], [1.5]),
    (
        pa.decimal128(30, 2),
        "numeric(30,2)",
        [Decimal("12345678901234567890.50")],
        ["12345678901234567890.50"],
    ),
    (pa.decimal256(60, 2), "numeric(60,2)", [Decimal("1.50")], ["1.50"]),
    (pa.large_string(), "text", ["007"], ["007"]),
    (pa.string_view(), "text", ["007"], ["007"]),
    (pa.dictionary(pa.int8(), pa.string()), "text", ["a", None, "a"], ["a", None, "a"]),
    (pa.large_binary(), "bytea", [b"\0"], [b"\0"]),
    (pa.binary(2), "bytea", [b"ab"], [b"ab"]),
    (pa.date32(), "date", [dt.date(2024, 2, 29)], ["2024-02-29"]),
    (pa.date64(), "date", [dt.date(2024, 2, 29)], ["2024-02-29"]),
    (pa.time32("s"), "time without time zone", [dt.time(10, 30)], ["10:30:00.000000"]),
    (
        pa.timestamp("s"),
        "timestamp without time zone",
        [dt.datetime(2024, 1, 1)],
        ["2024-01-01 00:00:00.000000"],
    ),
    (
        pa.timestamp("ns"),
        "timestamp without time zone",
        [dt.datetime(2024, 1, 1)],
        ["2024-01-01 00:00:00.000000"],
    ),
    (
        pa.timestamp("us", "Asia/Kolkata"),
        "timestamp with time zone",
        [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)],
        ["2024-01-01 00:00:00.000000Z"],
    ),
    (pa.null(), "text", [None], [None]),
    (pa.duration("s"), "interval", [dt.timedelta(days=1, seconds=-1)], ["PT86399.000000S"]),
    (pa.list_(pa.int32()), "json", [[1, None], None], ["[1, null]", None]),
    (pa.struct({"a": pa.string()}), "json", [{"a": "é"}], ['{"a": "é"}']),
    (pa.list_(pa.date32()), "json", [[dt.date.max]], ['["9999-12-31"]']),
]


@pytest.mark.parametrize(("arrow", "type", "values", "cells"), ARROW, ids=[str(case[0]) for case in ARROW])
def test_arrow_values_are_kept_as_the_postgresql_type_that_holds_them(
    tmp_path: Path, sqlite_rows: Rows, arrow: pa.DataType, type: str, values: list[Any], cells: list[Any]
) -> None:
    assert derive(arrow) == type
    plan = planned(from_arrow(arrow))
    arrive(plan, pa.array(values, arrow), tmp_path / "t.db")
    assert sqlite_rows(tmp_path / "t.db", "select v from t") == [(cell,) for cell in cells]


def test_runs_are_written_out(tmp_path: Path, sqlite_rows: Rows) -> None:
    runs = pc.run_end_encode(pa.array([7, 7, None]))
    arrive(planned(from_arrow(runs.type)), runs, tmp_path / "t.db")
    assert sqlite_rows(tmp_path / "t.db", "select v from t") == [(7,), (7,), (None,)]


def test_a_list_as_json_says_so() -> None:
    [route] = planned(from_arrow(pa.list_(pa.int32()))).columns[0].routes
    assert (route.fidelity, route.reason) == (Fidelity.WIDENED, "nested values become JSON text")


@pytest.mark.parametrize(
    ("arrow", "value"),
    [
        (pa.list_(pa.float64()), [float("nan")]),
        (pa.list_(pa.binary()), [b"x"]),
    ],
)
def test_what_json_cannot_say_is_refused(arrow: pa.DataType, value: list[Any]) -> None:
    encode = planned(from_arrow(arrow)).columns[0].route.storage.encode
    assert encode
    with pytest.raises(Refused):
        encode(pa.array([value], arrow))


def test_a_type_that_sqlite_has_no_place_for_is_an_error_with_a_way_out() -> None:
    with pytest.raises(SchemaError, match=r"no type for .*cast"):
        planned(from_arrow(pa.month_day_nano_interval()))


# -- floats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["real", "double precision"])
def test_not_a_number_and_minus_zero_take_the_second_route_and_come_back(
    tmp_path: Path, sqlite_rows: Rows, type: str
) -> None:
    plan = planned(from_postgresql(type))
    values = pa.array([1.5, float("nan"), -0.0, float("inf"), float("-inf"), None, 5e-45], pa.float32())
    values = values if type == "real" else values.cast(pa.float64())
    with pytest.raises(Refused):
        arrive(plan, values, tmp_path / "first.db")
    second = by(plan, "v", plan.columns[0].routes[1])
    path = tmp_path / "t.db"
    arrive(second, values, path)
    cells = [cell for (cell,) in sqlite_rows(path, "select v from t")]
    assert cells[:6] == [1.5, "NaN", b"-0.0", float("inf"), float("-inf"), None]
    with connect(SQLITE, str(path), read_only=True) as connection:
        [table] = SQLITE.describe(connection, [TableName("t")])
        form = SQLITE.forms(connection, table)["v"][1]
        assert form.decode
        with connection.stream(f"select {form.select} as v from t", {}) as batches:
            [batch] = batches
        bits = pa.int32() if type == "real" else pa.int64()
        back = form.decode(batch.column(0))
        assert back.take([0, 2, 3, 4, 5, 6]).view(bits).equals(values.take([0, 2, 3, 4, 5, 6]).view(bits))
        assert str(back[1]) == "nan"


# -- existing tables ---------------------------------------------------------------------------------------


def existing(declared: str, **fields: Any) -> Table:
    origin = original_type(declared) if fields.pop("ours", False) else None
    native = NativeType("postgresql", origin) if origin else NativeType("sqlite", declared)
    return Table(TableName("t"), "sqlite", (Column("v", declared, native, **fields),))


KEPT = [
    ("integer", "INTEGER", pa.array([7], pa.int32()), [7]),
    ("integer", "NUMERIC", pa.array([7], pa.int32()), [7]),
    ("integer", "", pa.array([7], pa.int32()), [7]),
    ("integer", "REAL", pa.array([7], pa.int32()), [7.0]),
    ("boolean", "BOOLEAN", pa.array([True]), [1]),
    ("double precision", "REAL", pa.array([1.5]), [1.5]),
    ("double precision", "NUMERIC", pa.array([1.5, 2.0]), [1.5, 2]),
    ("numeric(10,2)", "DECIMAL(10,2)", pa.array([Decimal("1.50")]), [1.5]),
    ("numeric(38,10)", "DECIMAL(10,2)", pa.array(["1.5000000000"]), [1.5]),
    ("numeric(30,4)", "DECIMAL(10,2)", pa.array([Decimal("1.5000")], pa.decimal128(30, 4)), [1.5]),
    ("integer", "TEXT", pa.array([7], pa.int32()), ["7"]),
    ("inet", "TEXT", pa.array(["1.2.3.4/24"]), ["1.2.3.4/24"]),
    ("numeric(38,10)", "TEXT", pa.array(["1.5000000000"]), ["1.5000000000"]),
    ("text", "TEXT", pa.array(["007"]), ["007"]),
    ("text", "", pa.array(["007"]), ["007"]),
    ("text", "INTEGER", pa.array(["seven", "x7"]), ["seven", "x7"]),
    ("date", "DATE", pa.array([19782], pa.int32()), ["2024-02-29"]),
    ("timestamp without time zone", "DATETIME", pa.array([0], pa.int64()), ["2000-01-01 00:00:00.000000"]),
    ("bytea", "INTEGER", pa.array([b"7"]), [b"7"]),
    ("uuid", "INTEGER", pa.array([b"y" * 16], pa.binary(16)), ["79797979-7979-7979-7979-797979797979"]),
]


@pytest.mark.parametrize(
    ("type", "declared", "values", "cells"), KEPT, ids=[f"{a}-{b}" for a, b, _, _ in KEPT]
)
def test_a_column_that_users_declared_takes_what_it_keeps(
    tmp_path: Path,
    sqlite_file: Callable[..., Path],
    sqlite_rows: Rows,
    type: str,
    declared: str,
    values: pa.Array,
    cells: list[Any],
) -> None:
    path = sqlite_file(f"create table t(v {declared})", "t.db")
    plan = planned(from_postgresql(type), existing(declared), mode="append")
    arrive(plan, values, path)
    found = [cell for (cell,) in sqlite_rows(path, "select v from t")]
    assert found == cells
    assert list(map(isinstance, found, map(type_of, cells))) == [True] * len(cells)


def type_of(value: object) -> type:
    return value.__class__


CHANGED = [
    ("text", "INTEGER", pa.array(["007"])),
    ("text", "NUMERIC", pa.array([" 1e3 "])),
    ("text", "REAL", pa.array(["-.5"])),
    ("integer", "REAL", pa.array([2**53 + 1])),
    ("double precision", "REAL", pa.array([float("nan")])),
    ("double precision", "NUMERIC", pa.array([-0.0])),
    ("numeric(30,4)", "NUMERIC", pa.array([Decimal("1234567890123456.5")], pa.decimal128(30, 4))),
    ("numeric(38,10)", "NUMERIC", pa.array(["1234567890123456.5"])),
    ("numeric", "NUMERIC", pa.array(["NaN"])),
]


@pytest.mark.parametrize(("type", "declared", "values"), CHANGED, ids=[f"{a}-{b}" for a, b, _ in CHANGED])
def test_a_value_that_the_column_s_affinity_would_change_is_refused(
    type: str, declared: str, values: pa.Array
) -> None:
    encode = planned(from_postgresql(type), existing(declared), mode="append").columns[0].route.storage.encode
    assert encode
    with pytest.raises((Refused, pa.ArrowInvalid)):
        encode(values)


@pytest.mark.parametrize(
    ("type", "fidelity"), [("integer", "widened"), ("inet", "widened"), ("text", "exact"), ("date", "exact")]
)
def test_numbers_that_become_text_say_so(type: str, fidelity: str) -> None:
    route = planned(from_postgresql(type), existing("TEXT"), mode="append").columns[0].route
    assert (route.fidelity, bool(route.reason)) == (fidelity, fidelity == "widened")


def test_what_a_column_has_no_place_for_is_an_error_with_a_way_out() -> None:
    with pytest.raises(SchemaError, match=r"does not fit INTEGER.*cast="):
        planned(from_arrow(pa.month_day_nano_interval()), existing("INTEGER"), mode="append")


@pytest.mark.parametrize(
    ("type", "declared", "good", "bad"),
    [
        ("bigint", "int2", [7], [40_000]),
        ("numeric(20,4)", "numeric(10,2)", [Decimal("1.5")], [Decimal("1.555")]),
        ("double precision", "float4", [0.5], [0.1]),
    ],
)
def test_a_narrower_column_of_ours_takes_what_fits(
    type: str, declared: str, good: list[Any], bad: list[Any]
) -> None:
    column = planned(from_postgresql(type), existing(declared, ours=True), mode="append").columns[0]
    [route] = [route for route in column.routes if kind(route.form.arrow) != "words"][:1]
    assert route.storage.encode
    assert len(route.storage.encode(pa.array(good, route.form.arrow))) == 1
    with pytest.raises((Refused, pa.ArrowInvalid)):
        route.storage.encode(pa.array(bad, route.form.arrow))


def test_names_are_matched_by_case_only_where_that_is_clear() -> None:
    plan = planned(from_postgresql("integer", "V"), existing("INTEGER"), mode="append")
    assert plan.columns[0].target.name == "v"
    with pytest.raises(SchemaError, match=r"no such column.*It has: v"):
        planned(from_postgresql("integer", "w"), existing("INTEGER"), mode="append")


def test_a_required_column_that_the_source_lacks_is_an_error() -> None:
    table = existing("INTEGER")
    needed = Column("n", "INT", NativeType("sqlite", "INT"), nullable=False)
    with pytest.raises(SchemaError, match=r"not null.*column 'n'"):
        planned(
            from_postgresql("integer"), Table(table.name, "sqlite", (*table.columns, needed)), mode="append"
        )


def test_columns_that_differ_in_case_only_are_an_error() -> None:
    table, forms = from_postgresql("integer")
    both = Table(
        table.name, "postgresql", (table.columns[0], Column("V", "integer", table.columns[0].origin))
    )
    with pytest.raises(SchemaError, match="differ in case only"):
        planned((both, {**forms, "V": forms["v"]}))


# -- casts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrow", "cast", "declared", "value", "cell"),
    [
        (pa.string(), "decimal(12,2)", "numeric(12,2)", "1.50", 1.5),
        (pa.string(), "int", "int4", "7", 7),
        (pa.int64(), "text", "text", 7, "7"),
        (pa.int64(), "boolean", "boolean", 1, 1),
        (pa.float64(), "decimal(10,2)", "numeric(10,2)", 0.1, 0.1),
        (
            pa.string(),
            "timestamptz",
            "timestamp with time zone",
            "2024-01-01 10:00+02:00",
            "2024-01-01 08:00:00.000000Z",
        ),
        (pa.timestamp("us"), "date", "date", dt.datetime(2024, 1, 1), "2024-01-01"),
        (
            pa.string(),
            "uuid",
            "uuid",
            "79797979-7979-7979-7979-797979797979",
            "79797979-7979-7979-7979-797979797979",
        ),
        (pa.string(), "varchar(5)", "character varying(5)", "abc", "abc"),
    ],
)
def test_a_cast_makes_another_type_of_values_that_survive_it(
    tmp_path: Path, sqlite_rows: Rows, arrow: pa.DataType, cast: str, declared: str, value: Any, cell: Any
) -> None:
    plan = planned(from_arrow(arrow), cast={"v": cast})
    assert plan.target.columns[0].type == declared
    arrive(plan, pa.array([value], arrow), tmp_path / "t.db")
    assert sqlite_rows(tmp_path / "t.db", "select v from t") == [(cell,)]


def test_a_cast_that_would_change_a_value_refuses_it() -> None:
    encode = planned(from_arrow(pa.float64()), cast={"v": "decimal(10,2)"}).columns[0].route.storage.encode
    assert encode
    with pytest.raises((Refused, pa.ArrowInvalid)):
        encode(pa.array([0.129]))


# -- defaults, keys, statements ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "declared", "carried"),
    [
        ("'abc'::text", "text", "'abc'"),
        ("'it''s'::character varying(9)", "text", "'it''s'"),
        ("0", "int4", "0"),
        ("(-1)", "int4", "-1"),
        ("'-1'::integer", "int4", "'-1'"),
        ("1.50", "numeric(10,2)", "1.50"),
        ("true", "boolean", "1"),
        ("NULL::character varying", "text", "null"),
        ("'2024-01-01'::date", "date", "'2024-01-01'"),
        ("now()", "timestamp with time zone", "strftime('%Y-%m-%d %H:%M:%f000Z', 'now')"),
        ("CURRENT_TIMESTAMP", "timestamp without time zone", "strftime('%Y-%m-%d %H:%M:%f000', 'now')"),
        ("CURRENT_DATE", "date", "current_date"),
        (
            "(CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text)",
            "timestamp without time zone",
            "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        ),
        ("((CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text))::date", "date", "current_date"),
        ("((now() AT TIME ZONE 'Asia/Tokyo'::text))::date", "date", None),
        ("now()", "text", None),
        ("nextval('s'::regclass)", "int4", None),
        ("(a + 1)", "int4", None),
        ("lower('X'::text)", "text", None),
        ("'\\x00'::bytea", "BLOB", None),
        ("ARRAY[1, 2]", "TEXT integer[]", None),
        ("'{1,2}'::integer[]", "TEXT integer[]", "'{1,2}'"),
        (None, "int4", None),
    ],
)
def test_literals_and_the_current_time_are_carried_as_defaults(
    default: str | None, declared: str, carried: str | None
) -> None:
    assert carried_default(default, declared) == carried


def test_a_table_carries_its_keys_and_says_what_it_leaves(
    tmp_path: Path, sqlite_file: Callable[..., Path]
) -> None:
    integer, text = NativeType("postgresql", "integer"), NativeType("postgresql", "text")
    columns = (
        Column("id", "integer", integer, nullable=False, identity="always"),
        Column("a", "integer", integer, default="nextval('s')"),
        Column("b", "text", text, nullable=False, default="'x'::text", comment="why"),
    )
    table = Table(
        TableName("t", "public"), "postgresql", columns,
        primary_key=Key("t_pkey", ("id",)),
        unique=(Key("one", ("a", "b")),),
        checks=(Check("positive", "a > 0"),),
        foreign_keys=(
            ForeignKey("up", ("a",), TableName("p", "public"), ("id",), "cascade", deferrable="deferred"),
        ),
        indexes=(Index("by_b", ("b", "a"), descending=(False, True)), Index("odd", (), definition="…")),
    )  # fmt: skip
    forms = {
        c.name: postgresql_forms(f'"{c.name}"', TypeFacts(TypeName.parse(c.type), TypeName.parse(c.type)))
        for c in columns
    }
    plan = planned((table, forms), rename={"b": "B b"})
    assert plan.write.before == (
        'create table "t" (\n  /* arrowsync */ "id" INTEGER /* int4 */ '
        'constraint "t_pkey" primary key autoincrement not null,\n'
        '  "a" "int4",\n  "B b" "text" not null default (\'x\'),\n  constraint "one" unique ("a", "B b"),\n'
        '  constraint "up" foreign key ("a") references "p" ("id") on delete cascade '
        "deferrable initially deferred\n)",
    )
    assert plan.write.after == ('create index "by_b" on "t" ("B b", "a" desc)',)
    assert plan.warnings == (
        "column 'a': its default is not carried over: nextval('s')",
        "check 'positive' is not carried over: a > 0",
        "index 'odd' is not carried over",
        "comments are not carried over: SQLite has none",
    )
    path = tmp_path / "t.db"
    with connect(SQLITE, str(path), read_only=False) as connection:
        for statement in (*plan.write.before, *plan.write.after):
            connection.run(statement)
        [found] = SQLITE.describe(connection, [TableName("t")])
    assert [(c.name, c.origin.name, c.identity, c.nullable) for c in found.columns] == [
        ("id", "integer", "by default", False), ("a", "integer", None, True), ("B b", "text", None, False),
    ]  # fmt: skip
    assert found.foreign_keys[0].deferrable == "deferred"


# -- from one file to another ------------------------------------------------------------------------------

HOUSE = """
create table p(id integer primary key, name text unique on conflict ignore);
create table t(
  id integer primary key autoincrement, p int references p on delete cascade,
  word text collate nocase not null default ('a' || 'b'),
  n DECIMAL(10,2) check (n > 0), twice as (n * 2), mixed, constraint pair unique (p, word)
);
create index lowered on t(lower(word)) where n > 1;
create index plain on t(n desc);
insert into p values (1, 'one');
insert into t(p, word, n, mixed) values (1, 'x', 1.5, 7), (null, 'y', 2, 'a' || char(0) || 'b'),
  (1, 'z', null, -0.0), (1, 'w', 3, x'ff'), (1, 'v', 3, 9e999);
"""


def test_a_table_in_another_file_is_the_same_table(
    tmp_path: Path, sqlite_file: Callable[..., Path], sqlite_rows: Rows
) -> None:
    path, copied = sqlite_file(HOUSE), tmp_path / "copy.db"
    with (
        connect(SQLITE, str(path), read_only=True) as reader,
        connect(SQLITE, str(copied), read_only=False) as writer,
    ):
        for name in ("p", "t"):
            plan = plan_of(reader, writer, TableName(name), TableName(name))
            for statement in plan.write.before:
                writer.run(statement)
            copy(reader, writer, plan)
            for statement in plan.write.after:
                writer.run(statement)
            assert plan.warnings == ()
        here = SQLITE.describe(reader, [TableName("p"), TableName("t")])
        there = SQLITE.describe(writer, [TableName("p"), TableName("t")])
    for a, b in zip(here, there, strict=True):
        assert (a.columns, a.indexes, a.foreign_keys) == (b.columns, b.indexes, b.foreign_keys)
        assert [(key.name, key.columns) for key in a.unique] == [(key.name, key.columns) for key in b.unique]
        assert [check.expression for check in a.checks] == [check.expression for check in b.checks]
    query = "select *, typeof(mixed), hex(mixed), typeof(n), atan2(mixed, -1) from t order by id"
    assert str(sqlite_rows(copied, query)) == str(sqlite_rows(path, query))


STRICT = """
create table t (k integer primary key, v any, w int, x text) strict;
insert into t values (1, '1', 1, 'a'), (2, 1, 2, 'b'), (3, '007', 3, 'c'), (4, '1e3', 4, 'd'), (5, 1.0, 5, 'e'),
  (6, x'00', 6, 'f'), (7, null, 7, 'g');
create table u (a int, v any, primary key (a desc)) strict, without rowid;
insert into u values (1, 1), (2, 1.0);
"""


@pytest.mark.parametrize("asked", [{}, {"cast": {"w": "bigint"}}], ids=["strict", "not"])
def test_a_strict_table_keeps_its_values_and_its_rules(
    tmp_path: Path, sqlite_file: Callable[..., Path], sqlite_rows: Rows, asked: dict[str, Any]
) -> None:
    path, copied = sqlite_file(STRICT), tmp_path / "copy.db"
    plan = arrowsync.plan(path, copied, table="t", **asked)
    assert plan.run().status == "complete"
    values = "select k, v, typeof(v), x from t order by k"
    assert sqlite_rows(copied, values) == sqlite_rows(path, values)
    rules = "select strict from pragma_table_list where name = 't'"
    assert sqlite_rows(copied, rules) == [(0 if asked else 1,)]


def test_a_table_without_rowid_has_none_in_its_copy(
    tmp_path: Path, sqlite_file: Callable[..., Path], sqlite_rows: Rows
) -> None:
    path, copied = sqlite_file(STRICT), tmp_path / "copy.db"
    arrowsync.copy(path, copied, table="u")
    for query in (
        "select a, v, typeof(v) from u",
        "select wr, strict from pragma_table_list where name = 'u'",
        "select name, type from pragma_table_info('u')",
    ):
        assert sqlite_rows(copied, query) == sqlite_rows(path, query)


def test_text_of_a_strict_table_that_a_number_column_would_change_is_refused(
    sqlite_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = sqlite_file("create table t (v any) strict; insert into t values ('007'), ('x')")
    into = sqlite_file("create table t (v any)", name="into.db")
    report = arrowsync.copy(path, into, table="t", mode="append", quarantine=tmp_path / "bad")
    assert (report.rows_written, report.rows_quarantined) == (1, 1)


def test_a_copy_beside_its_original_has_indexes_of_its_own(sqlite_file: Callable[..., Path]) -> None:
    path = sqlite_file(HOUSE)
    with connect(SQLITE, str(path), read_only=False) as connection:
        plan = plan_of(connection, connection, TableName("t"), TableName("t2"))
        for statement in (*plan.write.before, *plan.write.after):
            connection.run(statement)
        [found] = SQLITE.describe(connection, [TableName("t2")])
    assert [index.name for index in found.indexes] == ["t2_lowered", "t2_plain"]
    assert found.indexes[0].where == "n > 1"


def test_replace_swaps_under_views_and_keys_that_name_the_table(
    sqlite_file: Callable[..., Path], sqlite_rows: Rows
) -> None:
    source = sqlite_file(HOUSE)
    target = sqlite_file(
        "create table t(old); insert into t values (1); create index plain on t(old);"
        "create view v as select count(*) n from t;"
        "create table child(t references t(id)); create table other(x)", "target.db"
    )  # fmt: skip
    with (
        connect(SQLITE, str(source), read_only=True) as reader,
        connect(SQLITE, str(target), read_only=False) as writer,
    ):
        plan = plan_of(reader, writer, TableName("t"), TableName("t"), mode="replace")
        assert plan.write_table != plan.target.name
        for statement in plan.write.before:
            writer.run(statement)
        copy(reader, writer, plan)
        assert sqlite_rows(target, "select * from t") == [(1,)]
        writer.run("begin immediate")
        for statement in plan.write.after:
            writer.run(statement)
        writer.run("commit")
    assert sqlite_rows(target, "select n from v") == [(5,)]
    names = sqlite_rows(target, "select name from sqlite_master where name not like 'sqlite_%' order by 1")
    assert names == [("child",), ("lowered",), ("other",), ("plain",), ("t",), ("v",)]
    assert sqlite_rows(target, "select \"table\" from pragma_foreign_key_list('child')") == [("t",)]


def test_rows_are_counted_through_staging_and_beside_triggers(sqlite_file: Callable[..., Path]) -> None:
    source = sqlite_file(HOUSE)
    target = sqlite_file(
        "create table log(x); create table t(mixed);"
        "create trigger twice after insert on t begin insert into log values (1); "
        "insert into log values (2); end", "target.db"
    )  # fmt: skip
    with (
        connect(SQLITE, str(source), read_only=True) as reader,
        connect(SQLITE, str(target), read_only=False) as writer,
    ):
        [table] = SQLITE.describe(reader, [TableName("t")])
        only = Table(table.name, "sqlite", (table.column("mixed"),))
        plan = plan_for(reader, writer, only, TableName("t"), mode="append")
        assert plan.staged
        before = SQLITE.stored(writer, plan.write_table)
        assert copy(reader, writer, plan) == 5
        assert SQLITE.stored(writer, plan.write_table) - before == 5
        writer.run("drop trigger twice")
        before = SQLITE.stored(writer, plan.write_table)
        copy(reader, writer, plan)
        assert SQLITE.stored(writer, plan.write_table) - before == 5


def test_a_refused_row_is_a_data_error_also_through_staging(sqlite_file: Callable[..., Path]) -> None:
    source = sqlite_file("create table t(v); insert into t values (1), ('a'), (1)")
    target = sqlite_file("create table t(v unique)", "target.db")
    with (
        connect(SQLITE, str(source), read_only=True) as reader,
        connect(SQLITE, str(target), read_only=False) as writer,
    ):
        plan = plan_of(reader, writer, TableName("t"), TableName("t"), mode="append")
        assert plan.staged
        with pytest.raises(DataError, match="UNIQUE") as caught:
            copy(reader, writer, plan)
    assert (caught.value.column, caught.value.constraint) == ("v", "unique")
