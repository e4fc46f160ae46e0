"""What people's columns hold decides how they are read; what contradicts the plan is refused."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import arrowsync
from arrowsync.core.contracts import Forms
from arrowsync.core.plan import Fidelity, Form
from arrowsync.core.table import Table, TableName
from arrowsync.core.transfer import Transfer
from arrowsync.dialects.postgresql import PostgreSQL
from arrowsync.dialects.sqlite import SQLite, reading, type_inference
from arrowsync.endpoints.connections import AdbcConnection
from arrowsync.errors import Refused
from tests.unit.dialects.routes import connect
from tests.user_tables import PEOPLE, Case, table_of

SQLITE = SQLite()
MANY = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) "  # more than a sample


@pytest.fixture
def opened(sqlite_file: Callable[..., Path]) -> Iterator[Callable[[str], AdbcConnection]]:
    with ExitStack() as stack:

        def make(sql: str) -> AdbcConnection:
            return stack.enter_context(connect(SQLITE, str(sqlite_file(sql)), read_only=True))

        yield make


def described(connection: AdbcConnection, name: str = "t") -> Table:
    [table] = SQLITE.describe(connection, [TableName(name)])
    return table


def postgresql_type(table: Table, forms: Forms, column: str = "v") -> str:
    transfer = Transfer.of("sqlite:///a", "postgresql://b/b", mode="create")
    target, _ = PostgreSQL().design(table, forms, transfer, TableName("t", "public"), None)
    return target.column(column).type


def read(connection: AdbcConnection, form: Form, *, batch_rows: int = 7, source: str = "t") -> list[object]:
    """The column's values by that form, decoded; Refused and ArrowInvalid as they come."""
    options = {reading.BATCH_ROWS: str(batch_rows)}
    with connection.stream(reading.query([("v", form)], source), options) as batches:
        arrays = [batch.column(0) for batch in reading.unpinned(batches, [("v", form)])]
    return [value for a in arrays for value in (form.decode(a) if form.decode else a).to_pylist()]


# -- what PostgreSQL is to make of it ----------------------------------------------------------------------


@pytest.mark.parametrize("case", PEOPLE.values(), ids=PEOPLE)
def test_values_decide_and_the_declared_type_is_a_hint(
    opened: Callable[[str], AdbcConnection], case: Case
) -> None:
    connection = opened(table_of(case))
    table = described(connection)
    forms = SQLITE.forms(connection, table)
    assert postgresql_type(table, forms) == case.type
    assert len(read(connection, forms["v"][0])) == len(case.values) + 1


@pytest.mark.parametrize(
    ("declared", "first", "last", "type"),
    [
        ("", "1", "'x'", "text"),
        ("", "1", "2.5", "double precision"),
        ("", "null", "x'00'", "bytea"),
        ("INTEGER", "null", "'n/a'", "text"),
        ("DATE", "'2024-01-01'", "'2024-02-30'", "text"),
        ("DATE", "'2024-01-01'", "'2024-01-01 10:00'", "timestamp without time zone"),
        ("DECIMAL(10,2)", "1.25", "0.129", "numeric"),
        ("BOOLEAN", "1", "2", "bigint"),
        ("BOOLEAN", "1", "'maybe'", "text"),
        ("JSON", "'{}'", "'{'", "text"),
        ("", "1.5", "9007199254740993", "numeric"),
        ("INTEGER", "1", "2", "bigint"),
    ],
)
def test_one_late_value_counts_as_much_as_all_before_it(
    opened: Callable[[str], AdbcConnection], declared: str, first: str, last: str, type: str
) -> None:
    connection = opened(
        f"create table t(id integer primary key, v {declared});"
        f"{MANY} insert into t select i, {first} from n; insert into t values (9999, {last})"
    )
    table = described(connection)
    forms = SQLITE.forms(connection, table)
    assert postgresql_type(table, forms) == type
    assert len(read(connection, forms["v"][0], batch_rows=1000)) == 5001


@pytest.mark.parametrize("key", ["id integer primary key", "rowid text, id integer primary key"])
def test_two_readers_see_every_row(
    opened: Callable[[str], AdbcConnection], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """An odd value in the first half, in the last row, and a column that is odd in both ways."""
    monkeypatch.setattr(type_inference, "ROWS_FOR_TWO", 5_000)
    connection = opened(
        f"create table t({key}, early date, late date, both decimal(8,2), plain text, loose);"
        f"{MANY} insert into t(id, early, late, both, plain, loose)"
        "select i * 10 - 20000, '2024-01-01', '2024-01-01', 1.25, 'x', 1 from n;"
        "update t set early = 'soon' where id = -5000; update t set late = 'never' where id = 30000;"
        "update t set both = 'much', loose = x'00' where id = 29990"
    )
    table = described(connection)
    assert len(type_inference._halves(connection, table)) == 2
    forms = SQLITE.forms(connection, table)
    types = {
        column: postgresql_type(table, forms, column)
        for column in ("early", "late", "both", "plain", "loose")
    }
    assert types == {"early": "text", "late": "text", "both": "text", "plain": "text", "loose": "bytea"}


# -- what a sample says --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", PEOPLE.values(), ids=PEOPLE)
def test_a_sample_with_every_kind_of_value_tells_as_much_as_all_rows(
    opened: Callable[[str], AdbcConnection], monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    monkeypatch.setattr(type_inference, "ROWS_TO_SAMPLE", 0)
    connection = opened(table_of(case))
    table = described(connection)
    forms = SQLITE.sampled(connection, table)
    assert forms is not None
    assert postgresql_type(table, forms) == case.type
    assert forms["v"][0].arrow == SQLITE.forms(connection, table)["v"][0].arrow


DECLARED = (
    *("", "INTEGER", "REAL", "NUMERIC", "TEXT", "BLOB", "DECIMAL(5,2)", "DOUBLE DECIMAL(5,2)", "BOOLEAN"),
    *("TEXT BOOLEAN", "DATE", "DATETIME", "TIME", "TEXT DATE", "TEXT TIME", "UUID", "JSON", "REAL DATE"),
)
VALUES = (
    *("null", "1", "10", "2.0", "2.5", "0.129", "9007199254740993", "1e300", "9e999", "'1'", "'true'", "'x'"),
    *("''", "'{}'", "'2024-01-01'", "'2024-01-01 10:00'", "'2024-01-01T10:00Z'", "'10:00'", "'NaN'"),
    *("x'00'", "cast(x'ff' as text)", "'8d0e1b5e-9f2a-4c6d-8b1a-2f3e4d5c6b7a'"),
)


@pytest.mark.parametrize("declared", DECLARED)
def test_a_form_that_carries_every_row_proves_the_type_it_was_sampled_for(
    opened: Callable[[str], AdbcConnection], monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    """Whatever the sample was: here the first and the last row, between which there is another value."""
    for name, number in {"ROWS_TO_SAMPLE": 0, "SAMPLE_ROWS": 1, "PLACES": 2}.items():
        monkeypatch.setattr(type_inference, name, number)
    columns = ", ".join(f"v{number} {declared}" for number in range(len(VALUES)))
    late = ", ".join(VALUES)
    script = ""
    for number, usual in enumerate(VALUES):  # a table each: one of 484 columns takes four times as long
        ends = ", ".join([usual] * len(VALUES))
        script += (
            f"create table t{number}({columns}); insert into t{number} values ({ends}), ({late}), ({ends});"
        )
    connection, proven = opened(script), 0
    for number, usual in enumerate(VALUES):
        table = described(connection, f"t{number}")
        sampled, certain = SQLITE.sampled(connection, table), SQLITE.forms(connection, table)
        assert sampled is not None
        for column, value in zip(table.columns, VALUES, strict=True):
            first = sampled[column.name][0]
            if type_inference._failing(connection, table.name.name, 2, {column.name: (first, first)}):
                continue
            proven += 1
            assert first.arrow == certain[column.name][0].arrow, (usual, value)
    assert proven > len(VALUES)


def test_what_is_quick_to_count_or_ours_is_not_sampled(opened: Callable[[str], AdbcConnection]) -> None:
    few = "create table few as select 1 as v;"
    many = f"create table many(id integer primary key, v); {MANY} insert into many(v) select a.i from n a, n b limit 100000;"
    ours = "create table ours(/* arrowsync */ id int8, v int8); insert into ours select id, v from many;"
    keyed = "create table keyed(id integer primary key, v) without rowid; insert into keyed select id, v from many;"
    connection = opened(few + many + ours + keyed + "create view seen as select * from many")
    sampled = {
        name: SQLITE.sampled(connection, described(connection, name)) is not None
        for name in ("few", "many", "ours", "keyed", "seen")
    }
    assert sampled == {"few": False, "many": True, "ours": False, "keyed": False, "seen": False}


def test_strict_tables_and_rowids_need_no_summary(opened: Callable[[str], AdbcConnection]) -> None:
    connection = opened("create table t(id integer primary key, i int, r real, s text, b blob, v any) strict")
    table = described(connection)
    sure = type_inference._sure(connection, table, table.columns)
    assert {name: set(found.classes) for name, found in sure.items()} == {
        "id": {"integer"}, "i": {"integer"}, "r": {"real"}, "s": {"text"}, "b": {"blob"},
    }  # fmt: skip


def test_views_and_queries_are_counted_too(opened: Callable[[str], AdbcConnection]) -> None:
    connection = opened(
        "create table t(d DATE, n DECIMAL(8,2)); insert into t values ('2024-01-01', 1.25), (null, 2.5);"
        "create view v as select d, n, n * 2 as twice, coalesce(d, 'none') as word, 1 as one from t"
    )
    query = SQLITE.describe_query(connection, TableName("q"), "select * from v -- all of it")
    for table in (described(connection, "v"), query):
        forms = SQLITE.forms(connection, table)
        types = {column.name: postgresql_type(table, forms, column.name) for column in table.columns}
        assert types == {
            "d": "date", "n": "numeric(8,2)", "twice": "double precision", "word": "text", "one": "bigint",
        }  # fmt: skip


def test_generated_columns_are_read_like_others(opened: Callable[[str], AdbcConnection]) -> None:
    connection = opened("create table t(a int, v text as (a || '!')); insert into t(a) values (7)")
    assert read(connection, SQLITE.forms(connection, described(connection))["v"][0]) == ["7!"]


def test_columns_with_an_application_s_own_collation_are_read(sqlite_file: Callable[..., Path]) -> None:
    def make(connection: Any) -> None:
        connection.create_collation("own", lambda a, b: 0)
        columns = "a text collate own unique, b collate own, c int collate own, d real collate own"
        connection.execute(f"create table t({columns}, e date collate own, f collate own)")
        connection.execute(
            "insert into t values ('x', 'y', 2, 2.5, '2024-01-01', 1), (null, 'z', 3, 3.5, null, 0.5)"
        )

    with connect(SQLITE, str(sqlite_file(make)), read_only=True) as connection:
        forms = SQLITE.forms(connection, described(connection))
        assert [str(found[0].arrow) for found in forms.values()] == [
            "string", "string", "int64", "double", "date32[day]", "double",
        ]  # fmt: skip
        assert [len(read(connection, found[0])) for found in forms.values()] == [2] * 6


def test_many_columns_are_counted_in_turns(opened: Callable[[str], AdbcConnection]) -> None:
    columns = ", ".join(f"c{number}" for number in range(900))
    values = ", ".join(["1", "'x'", "2.5"] * 300)
    connection = opened(f"create table t({columns}); insert into t values ({values})")
    table = described(connection)
    forms = SQLITE.forms(connection, table)
    assert {str(found[0].arrow) for found in forms.values()} == {"int64", "string", "double"}


@pytest.mark.parametrize(
    ("declared", "value", "fidelity"),
    [
        ("", "1), (2.5", Fidelity.WIDENED),
        ("", "1), ('x'", Fidelity.WIDENED),
        ("", "'x'), (x'00'", Fidelity.WIDENED),
        ("BOOLEAN", "'yes'", Fidelity.WIDENED),
        ("", "1.5", Fidelity.EXACT),
        ("DECIMAL(9,2)", "1.5), (1", Fidelity.EXACT),
    ],
)
def test_what_becomes_wider_says_why(
    opened: Callable[[str], AdbcConnection], declared: str, value: str, fidelity: Fidelity
) -> None:
    connection = opened(f"create table t(v {declared}); insert into t values ({value})")
    form = SQLITE.forms(connection, described(connection))["v"][0]
    assert form.fidelity is fidelity
    assert bool(form.reason) is (fidelity is Fidelity.WIDENED)


@pytest.mark.parametrize(
    ("declared", "values", "read_as"),
    [
        ("DECIMAL(9,2)", "1.5), (2", "double"),
        ("", "1.5), (2", "dense_union"),
        ("NUMERIC", "1.5), (9007199254740993", "dense_union"),
        ("", "1.5", "double"),
        ("INTEGER", "1), ('x'", "dense_union"),
    ],
)
def test_another_sqlite_is_offered_storage_classes_without_letters_where_it_can(
    opened: Callable[[str], AdbcConnection], declared: str, values: str, read_as: str
) -> None:
    connection = opened(f"create table t(v {declared}); insert into t values ({values})")
    offered = [form.arrow for form in SQLITE.forms(connection, described(connection))["v"]]
    native = next(arrow for arrow in offered if getattr(arrow, "vendor_name", "") == "SQLite")
    assert str(native.storage_type).startswith(read_as)


# -- the guard ---------------------------------------------------------------------------------------------

# Plans can be older than the data. Each plan is made of one value, then meets another in the first batch or
# a later one: it is delivered as what it is, or refused.
PLANS = {
    "bigint": ("INTEGER", "1"),
    "untyped bigint": ("", "1"),
    "boolean": ("BOOLEAN", "1"),
    "worded boolean": ("BOOLEAN", "'yes'"),
    "real": ("REAL", "1.5"),
    "untyped double": ("", "1.5"),
    "mixed double": ("", "1.5), (2"),
    "decimal": ("DECIMAL(10,2)", "1.25"),
    "numeric": ("NUMERIC", "1.25"),
    "text": ("TEXT", "'a'"),
    "untyped text": ("", "'a'"),
    "mixed text": ("", "'a'), (1"),
    "date": ("DATE", "'2024-01-01'"),
    "timestamp": ("DATETIME", "'2024-01-01 10:00'"),
    "time": ("TIME", "'10:00'"),
    "uuid": ("UUID", "'79797979-7979-4979-8979-7979797979ab'"),
    "json": ("JSON", "'{}'"),
    "bytes": ("BLOB", "x'00'"),
}
UNEXPECTED = (
    *("7", "2", "9007199254740993", "2.5", "1.123456789012345", "1e300"),
    *("'x'", "''", "'7'", "'2024-02-30'", "'nan'", "x'61'", "x'ff'", "x''"),
)


def same(delivered: object, stored: object) -> bool:
    """Whether what a form delivers is the value that SQLite holds, in its own type or in its text."""
    if isinstance(stored, bytes):
        return isinstance(delivered, bytes) and delivered == stored
    if isinstance(stored, str):
        return delivered == stored or (stored == "nan" and delivered != delivered)
    if isinstance(delivered, str):
        return Decimal(delivered) == Decimal(repr(stored))
    if isinstance(delivered, Decimal):
        return delivered == Decimal(repr(stored))
    return delivered == stored and not isinstance(delivered, bool)


@pytest.mark.parametrize("late", [False, True], ids=["first batch", "later batch"])
@pytest.mark.parametrize("plan", PLANS)
def test_a_value_that_the_plan_did_not_expect_is_refused_or_itself(
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[..., list[tuple[object]]],
    plan: str,
    late: bool,
) -> None:
    declared, planned = PLANS[plan]
    expected = ", ".join([f"({planned.split(')')[0]})"] * (20 if late else 1))
    made = "".join(
        f"create table t{number}(v {declared}); insert into t{number} values {expected}, ({literal});"
        for number, literal in enumerate(UNEXPECTED)
    )
    path = sqlite_file(f"create table t(v {declared}); insert into t values ({planned}); {made}")
    last = (f"select * from (select v from t{n} order by rowid desc limit 1)" for n in range(len(UNEXPECTED)))
    stored = sqlite_rows(path, " union all ".join(last))
    with connect(SQLITE, str(path), read_only=True) as connection:
        form = SQLITE.forms(connection, described(connection))["v"][0]
        for number, literal in enumerate(UNEXPECTED):
            try:
                delivered = read(connection, form, source=f"t{number}")[-1]
            except (Refused, pa.ArrowInvalid):
                continue
            assert same(delivered, stored[number][0]), f"{literal} came as {delivered!r}"


def test_a_refusal_names_the_column(opened: Callable[[str], AdbcConnection]) -> None:
    connection = opened("create table t(a int, b text); insert into t values (1, 'x'), ('y', x'00')")
    a = Form('"a"', pa.int64(), pa.int64(), pin="0")
    b = Form('"b"', pa.string(), pa.string(), pin="''", guard="typeof(\"b\") <> 'text'")
    for named, column in ([("a", a), ("b", b)], "a"), ([("b", b)], "b"):
        for batch_rows in ("1", "1000"):
            with (
                pytest.raises(Refused) as refused,
                connection.stream(reading.query(named, "t"), {reading.BATCH_ROWS: batch_rows}) as batches,
            ):
                list(reading.unpinned(batches, named))
            assert refused.value.column == column


def test_a_file_in_utf16_is_read_and_its_mixed_columns_become_text(
    opened: Callable[[str], AdbcConnection],
) -> None:
    connection = opened(
        "pragma encoding = 'UTF-16le'; create table t(a text, v); insert into t values ('é🎉', 1), (null, 'ü')"
    )
    forms = SQLITE.forms(connection, described(connection))
    assert read(connection, forms["a"][0]) == ["é🎉", None]
    assert read(connection, forms["v"][0]) == ["1", "ü"]
    assert "union" not in str([form.arrow for form in forms["v"]])


def test_broken_utf8_is_refused(opened: Callable[[str], AdbcConnection]) -> None:
    connection = opened("create table t(v text); insert into t values ('a'), (cast(x'ff' as text))")
    form = SQLITE.forms(connection, described(connection))["v"][0]
    with pytest.raises(Refused, match="UTF-8"):
        read(connection, form)


MIXED = "(7), ('007'), (x'62'), ('z'), (1.5), (2.0), (-0.0), (' 7 ')"


@pytest.mark.parametrize(
    ("declared", "kept"),
    [
        ("integer", ["1.5", "7", "'z'", "X'62'"]),
        ("real", ["1.5", "2.0", "'z'", "X'62'"]),
        ("text", ["' 7 '", "'007'", "'z'", "X'62'"]),
        ("blob", ["0.0", "1.5", "2.0", "7", "' 7 '", "'007'", "'z'", "X'62'"]),
    ],
)
def test_mixed_values_keep_their_storage_class_in_another_column_or_are_refused(
    sqlite_file: Callable[..., Path],
    sqlite_rows: Callable[..., Any],
    tmp_path: Path,
    declared: str,
    kept: list[str],
) -> None:
    source = sqlite_file(f"create table t(v); insert into t values {MIXED}", "from.db")
    target = sqlite_file(f"create table t(v {declared})", "to.db")
    report = arrowsync.copy(
        source, target, table="t", mode="append", quarantine=str(tmp_path), progress=False
    )
    found = [row[0] for row in sqlite_rows(target, "select quote(v) from t order by v")]
    assert found == kept
    assert report.rows_quarantined == 8 - len(kept)
