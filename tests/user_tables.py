"""Columns as people make them in SQLite: the declared type, its values, and what PostgreSQL is to hold of them.

Each row: declared type, values as SQL literals (a NULL is added), PostgreSQL's type, its text of each value.
"""

from typing import NamedTuple


class Case(NamedTuple):
    declared: str
    values: list[str]
    type: str
    texts: list[str]


DATES = "date"
STAMPS = "timestamp without time zone"
ZONED = "timestamp with time zone"
TIMES = "time without time zone"
DOUBLES = "double precision"
TEXT, BIGINT, BOOLEAN, BYTES, NUMERIC, UUID, JSON = (
    "text",
    "bigint",
    "boolean",
    "bytea",
    "numeric",
    "uuid",
    "json",
)
A_UUID = "79797979-7979-4979-8979-7979797979ab"

PEOPLE = {
    # integers, whatever they are called
    "integer": Case("INTEGER", ["1", "-9223372036854775808", "9223372036854775807"], BIGINT, ["1", str(-(2**63)), str(2**63 - 1)]),
    "tinyint": Case("TINYINT(1)", ["7", "300"], BIGINT, ["7", "300"]),
    "unsigned big int": Case("UNSIGNED BIG INT", ["5"], BIGINT, ["5"]),
    "integers without a type": Case("", ["1", "2"], BIGINT, ["1", "2"]),
    "unix seconds": Case("TIMESTAMP", ["1700000000", "0"], BIGINT, ["1700000000", "0"]),
    "integers as text in INTEGER": Case("INTEGER", ["'7'", "' 8 '"], BIGINT, ["7", "8"]),
    "integers in a decimal": Case("DECIMAL(10,2)", ["1", "200"], "numeric(10,2)", ["1.00", "200.00"]),
    "integers in a wide decimal": Case("DECIMAL(20,0)", ["1", "200"], BIGINT, ["1", "200"]),
    "integers beyond 15 digits in a decimal": Case("DECIMAL(10,2)", ["9007199254740993"], BIGINT, ["9007199254740993"]),
    "bytes called integer": Case("INTEGER", ["1", "x'00ff'"], BYTES, ["\\x31", "\\x00ff"]),
    # numbers
    "real": Case("REAL", ["1.5", "1e300", "9e999", "-9e999", "0.1"], DOUBLES, ["1.5", "1e+300", "Infinity", "-Infinity", "0.1"]),
    "integers in REAL": Case("DOUBLE PRECISION", ["1", "2.5"], DOUBLES, ["1", "2.5"]),
    "floating point": Case("FLOATING POINT", ["1.5", "2"], DOUBLES, ["1.5", "2"]),
    "reals without a type": Case("", ["1.5", "2.0"], DOUBLES, ["1.5", "2"]),
    "integers and reals without a type": Case("", ["1", "2.5"], DOUBLES, ["1", "2.5"]),
    "big integers and reals": Case("", ["9007199254740993", "2.5"], NUMERIC, ["9007199254740993", "2.5"]),
    "negative zero": Case("", ["-0.0", "1.5"], DOUBLES, ["-0", "1.5"]),
    "negative zero in REAL": Case("REAL", ["-0.0", "1.5"], DOUBLES, ["0", "1.5"]),
    "decimal": Case("DECIMAL(15,2)", ["0.07", "1234567890123.45", "-5", "0.1"], "numeric(15,2)", ["0.07", "1234567890123.45", "-5.00", "0.10"]),
    "numeric with spaces": Case("NUMERIC ( 8 , 3 )", ["1.125", "2"], "numeric(8,3)", ["1.125", "2.000"]),
    "number": Case("NUMBER(5)", ["12", "3"], "numeric(5,0)", ["12", "3"]),
    "more decimals than declared": Case("DECIMAL(10,2)", ["0.129", "1"], NUMERIC, ["0.129", "1"]),
    "more digits than declared": Case("DECIMAL(4,2)", ["12345.5"], NUMERIC, ["12345.5"]),
    "decimal without digits": Case("DECIMAL", ["1.10", "2.5"], NUMERIC, ["1.1", "2.5"]),
    "julian days": Case("DATE", ["2460000.5", "2460001"], NUMERIC, ["2460000.5", "2460001"]),
    "money": Case("MONEY", ["19.99", "5"], NUMERIC, ["19.99", "5"]),
    "seventeen digits": Case("NUMERIC", ["0.1", "123456789.12345678"], NUMERIC, ["0.1", "123456789.12345678"]),
    "words for doubles": Case("REAL", ["'NaN'", "'inf'", "'-Infinity'", "1.5"], DOUBLES, ["NaN", "Infinity", "-Infinity", "1.5"]),
    "other words in REAL": Case("FLOAT", ["'n/a'", "1.5"], TEXT, ["n/a", "1.5"]),
    "integers beyond 64 bits": Case("INTEGER", ["18446744073709551615", "1"], DOUBLES, ["1.8446744073709552e+19", "1"]),
    # booleans
    "boolean": Case("BOOLEAN", ["0", "1"], BOOLEAN, ["false", "true"]),
    "boolean in words": Case("BOOL", ["'t'", "'False'", "1", "'no'", "'ON'"], BOOLEAN, ["true", "false", "true", "false", "true"]),
    "boolean with a two": Case("BOOLEAN", ["0", "2"], BIGINT, ["0", "2"]),
    "boolean with a word of its own": Case("BOOLEAN", ["'t'", "'maybe'"], TEXT, ["t", "maybe"]),
    "boolean with 2 among words": Case("BOOLEAN", ["'t'", "2"], TEXT, ["t", "2"]),
    "zero and one without a hint": Case("TINYINT", ["0", "1"], BIGINT, ["0", "1"]),
    # dates and times
    "date": Case("DATE", ["'2024-02-29'", "'0001-01-01'", "'9999-12-31'"], DATES, ["2024-02-29", "0001-01-01", "9999-12-31"]),
    "date that is none": Case("DATE", ["'2024-02-30'", "'2024-02-29'"], TEXT, ["2024-02-30", "2024-02-29"]),
    "empty date": Case("DATE", ["''", "'2024-02-29'"], TEXT, ["", "2024-02-29"]),
    "zero date": Case("DATE", ["'0000-00-00'"], TEXT, ["0000-00-00"]),
    "year zero": Case("DATE", ["'0000-01-01'"], TEXT, ["0000-01-01"]),
    "american date": Case("DATE", ["'02/29/2024'"], TEXT, ["02/29/2024"]),
    "today": Case("DATE", ["'now'", "'today'"], TEXT, ["now", "today"]),
    "date with a space": Case("DATE", ["' 2024-02-29'"], TEXT, [" 2024-02-29"]),
    "infinity as a date": Case("DATE", ["'infinity'", "'2024-02-29'"], TEXT, ["infinity", "2024-02-29"]),
    "date with times": Case("DATE", ["'2024-02-29 10:00:00'", "'2024-03-01'"], STAMPS, ["2024-02-29 10:00:00", "2024-03-01 00:00:00"]),
    "datetime": Case("DATETIME", ["'2024-02-29 10:00:00.123456'", "'2024-02-29T10:00'", "'2024-02-29'"], STAMPS, ["2024-02-29 10:00:00.123456", "2024-02-29 10:00:00", "2024-02-29 00:00:00"]),
    "datetime with zones": Case("DATETIME", ["'2024-02-29T10:00:00Z'", "'2024-02-29 10:00:00+05:30'"], ZONED, ["2024-02-29 10:00:00+00", "2024-02-29 04:30:00+00"]),
    "some with zones": Case("TIMESTAMP", ["'2024-02-29T10:00:00Z'", "'2024-02-29 10:00:00'"], TEXT, ["2024-02-29T10:00:00Z", "2024-02-29 10:00:00"]),
    "seven digits of a second": Case("DATETIME", ["'2024-02-29 10:00:00.1234567'"], TEXT, ["2024-02-29 10:00:00.1234567"]),
    "second sixty": Case("DATETIME", ["'2024-02-29 10:00:60'"], TEXT, ["2024-02-29 10:00:60"]),
    "hour twenty-four": Case("DATETIME", ["'2024-02-29 24:00:00'"], TEXT, ["2024-02-29 24:00:00"]),
    "datetime and seconds": Case("DATETIME", ["'2024-02-29'", "1700000000"], TEXT, ["2024-02-29", "1700000000"]),
    "time": Case("TIME", ["'10:00'", "'23:59:59.5'"], TIMES, ["10:00:00", "23:59:59.5"]),
    "end of the day": Case("TIME", ["'24:00:00'"], TEXT, ["24:00:00"]),
    "duration called time": Case("TIME", ["'36:15:00'"], TEXT, ["36:15:00"]),
    "dates without a hint": Case("TEXT", ["'2024-02-29'"], TEXT, ["2024-02-29"]),
    # text
    "varchar": Case("VARCHAR(3)", ["'abcdef'", "''", "'é🎉'"], TEXT, ["abcdef", "", "é🎉"]),
    "numbers in a text column": Case("TEXT", ["7", "'007'", "1.5"], TEXT, ["7", "007", "1.5"]),
    "text without a type": Case("", ["'007'", "'1e3'", "' '"], TEXT, ["007", "1e3", " "]),
    "numbers and text": Case("", ["7", "'seven'", "1.25"], TEXT, ["7", "seven", "1.25"]),
    "text in INTEGER": Case("INTEGER", ["1", "'n/a'"], TEXT, ["1", "n/a"]),
    "string": Case("STRING", ["'01234'", "'x'"], TEXT, ["1234", "x"]),
    "hexadecimal": Case("INTEGER", ["'0x1A'", "'1_000'", "'１'"], TEXT, ["0x1A", "1_000", "１"]),
    "floats and text": Case("", ["1.123456789012345", "'x'"], TEXT, ["1.123456789012345", "x"]),
    "text and bytes": Case("TEXT", ["'é'", "x'ff'"], BYTES, ["\\xc3a9", "\\xff"]),
    # bytes, uuid, json
    "blob": Case("BLOB", ["x'00ff'", "x''"], BYTES, ["\\x00ff", "\\x"]),
    "blob without a type": Case("", ["x'41'"], BYTES, ["\\x41"]),
    "text in BLOB": Case("BLOB", ["'abc'"], TEXT, ["abc"]),
    "everything": Case("", ["1", "2.5", "'x'", "x'41'"], BYTES, ["\\x31", "\\x322e35", "\\x78", "\\x41"]),
    "uuid": Case("UUID", [f"'{A_UUID}'"], UUID, [A_UUID]),
    "uuid in capitals": Case("UUID", [f"'{A_UUID.upper()}'"], TEXT, [A_UUID.upper()]),
    "uuid without dashes": Case("UUID TEXT", [f"'{A_UUID.replace('-', '')}'"], TEXT, [A_UUID.replace("-", "")]),
    "uuid as bytes": Case("UUID", [f"x'{A_UUID.replace('-', '')}'"], BYTES, ["\\x" + A_UUID.replace("-", "")]),
    "guid": Case("UNIQUEIDENTIFIER", [f"'{A_UUID}'"], UUID, [A_UUID]),
    "json": Case("JSON", ["'{\"a\":  1}'", "'[1, 2]'"], JSON, ['{"a":  1}', "[1, 2]"]),
    "a number of json": Case("JSON", ["'7'", "'{}'"], TEXT, ["7", "{}"]),
    "json that is none": Case("JSON", ["'{a: 1}'", "'[1]'"], TEXT, ["{a: 1}", "[1]"]),
    # nothing but NULL
    "no integer": Case("INTEGER", [], BIGINT, []),
    "no date": Case("DATE", [], DATES, []),
    "no datetime": Case("DATETIME", [], STAMPS, []),
    "no decimal": Case("DECIMAL(8,2)", [], "numeric(8,2)", []),
    "no number": Case("NUMERIC", [], NUMERIC, []),
    "no real": Case("REAL", [], DOUBLES, []),
    "no boolean": Case("BOOLEAN", [], BOOLEAN, []),
    "no text": Case("VARCHAR(9)", [], TEXT, []),
    "no blob": Case("BLOB", [], BYTES, []),
    "no type and no value": Case("", [], TEXT, []),
    "no uuid": Case("UUID", [], UUID, []),
}  # fmt: skip


def table_of(case: Case, name: str = "t") -> str:
    """The SQL of a table whose column v is the case's; the NULL comes first, where a driver would infer from it."""
    values = "".join(f", ({number}, {value})" for number, value in enumerate(case.values, 1))
    return f'create table "{name}"(id integer primary key, v {case.declared}); insert into "{name}" values (0, null){values};'
