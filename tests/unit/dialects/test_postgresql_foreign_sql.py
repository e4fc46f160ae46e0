"""Other databases' defaults, checks and type names in PostgreSQL: carried where they mean the same."""

import pytest

from arrowsync.dialects.postgresql.checks import carried_check
from arrowsync.dialects.postgresql.defaults import carried_default
from arrowsync.dialects.postgresql.typename import TypeName
from arrowsync.errors import SchemaError
from tests.fix_postgresql import Database


@pytest.mark.parametrize(
    ("written", "type", "expected"),
    [
        ("42", "integer", "42"),
        ("(-1)", "bigint", "-1"),
        ("1.5", "numeric(10,2)", "1.5"),
        ("'7'", "integer", "7"),
        ("1.5", "integer", None),
        ("'x'", "integer", None),
        ("''", "integer", None),
        ("1", "boolean", "true"),
        ("'false'", "boolean", "false"),
        ("2", "boolean", None),
        ("'it''s'", "text", "'it''s'"),
        ("5", "text", "'5'"),
        ("x'00fF'", "bytea", "'\\x00fF'"),
        ("'abc'", "bytea", None),
        ("NULL", "text", None),
        ("CURRENT_TIMESTAMP", "timestamp with time zone", "current_timestamp"),
        ("current_date", "date", "(current_timestamp at time zone 'UTC')::date"),
        ("CURRENT_TIMESTAMP", "integer", None),
        ("'2024-02-29'", "date", "'2024-02-29'"),
        ("'now'", "timestamp without time zone", None),
        ("'now'", "date", None),
        ("lower('A')", "text", None),
        ("datetime('now')", "text", None),
        ("1; drop table t", "integer", None),
        ("'a' || 'b'", "text", None),
    ],
)
def test_a_default_is_carried_where_it_means_the_same(written: str, type: str, expected: str | None) -> None:
    assert carried_default(written, TypeName.parse(type)) == expected


@pytest.mark.parametrize("type", ["text", "timestamp", "timestamptz", "date", "time"])
def test_carried_currents_are_defaults_of_a_real_table(postgresql: Database, type: str) -> None:
    for word in ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"):
        if default := carried_default(word, TypeName.parse(type)):
            postgresql.execute(f"drop table if exists t; create table t (v {type} default {default}, a int)")
            postgresql.execute("insert into t (a) values (1)")
            assert postgresql.execute("select v is not null from t") == [(True,)]


COLUMNS = {
    "price": ("price", TypeName("numeric", (10, 2))),
    "Qty": ("the qty", TypeName("bigint")),
    "name": ("name", TypeName("text")),
    "active": ("active", TypeName("boolean")),
    "day": ("day", TypeName("date")),
}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("price >= 0", '"price" >= 0'),
        ("PRICE > qty * 2 + 1", '"price" > "the qty" * 2 + 1'),
        ("price BETWEEN 0 AND 10", '"price" BETWEEN 0 AND 10'),
        ("name IN ('a', 'it''s')", "\"name\" IN ('a', 'it''s')"),
        ("name <> '' AND length(name) <= 20", '"name" <> \'\' AND LENGTH("name") <= 20'),
        ("day IS NOT NULL OR NOT (price < -5)", 'NOT "day" IS NULL OR NOT ("price" < -5)'),
        ("name > 'm'", None),
        ("name LIKE 'a%'", None),
        ("name GLOB '[0-9]*'", None),
        ("active IN (0, 1)", None),
        ("day > '2024-01-01'", None),
        ("price = '5'", None),
        ("typeof(price) = 'real'", None),
        ("qty / 2 = 1", None),
        ("nothing > 1", None),
        ("price > (SELECT 1)", None),
        ("price >", None),
        ("1); drop table t; --", None),
    ],
)
def test_a_check_is_carried_where_it_means_the_same(written: str, expected: str | None) -> None:
    assert carried_check(written, "sqlite", COLUMNS) == expected


def test_carried_checks_are_checks_of_a_real_table(postgresql: Database) -> None:
    rules = [
        carried_check(written, "sqlite", COLUMNS)
        for written in (
            "price > qty * 2 + 1",
            "name <> '' AND length(name) <= 3",
            "day IS NOT NULL OR NOT (price < -5)",
        )
    ]
    body = ", ".join(f"check ({rule})" for rule in rules)
    postgresql.execute(f'create table t (price numeric, "the qty" bigint, name text, day date, {body})')
    postgresql.execute("insert into t values (4, 1, 'abc', null)")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("int", "integer"),
        ("DECIMAL(12, 2)", "numeric(12,2)"),
        ("timestamptz(3)", "timestamp(3) with time zone"),
        ("timestamp(3) with time zone[]", "timestamp(3) with time zone[]"),
        ("char", "character(1)"),
        ("bit", "bit(1)"),
        ('"char"', '"char"'),
        ("interval day to second(2)", "interval day to second(2)"),
        ('public."Point ""Kind"""(3)[]', 'public."Point ""Kind"""(3)[]'),
        ('other.U&"ma\\0069ntenance"', "other.maintenance"),
        ('other.U&"\\+01F389x"', 'other."🎉x"'),
    ],
)
def test_a_type_name_is_read_as_people_and_the_server_write_it(written: str, meant: str) -> None:
    assert str(TypeName.parse(written)) == meant


@pytest.mark.parametrize("written", ["int; drop table t", "int default 5", "a.b.c", "numeric(1e3)", "", '"a'])
def test_what_is_no_type_name_is_refused(written: str) -> None:
    with pytest.raises(SchemaError):
        TypeName.parse(written)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("numeric", "numeric(10,2)"),
        ("numeric(12,3)", "numeric(10,2)"),
        ("character varying", "character varying(5)"),
        ("character varying(7)", "character varying(5)"),
        ("timestamp without time zone", "timestamp(3) without time zone"),
        ("interval", "interval day to second(2)"),
    ],
)
def test_a_wider_type_holds_a_narrower_one_and_not_the_reverse(wide: str, narrow: str) -> None:
    assert TypeName.parse(wide).holds(TypeName.parse(narrow))
    assert not TypeName.parse(narrow).holds(TypeName.parse(wide))
