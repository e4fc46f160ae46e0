"""What was asked for, checked; and when two calls are the same transfer."""

import pickle

import pytest

from arrowsync.core.capabilities import ANY_DRIVER, Capabilities
from arrowsync.core.limits import Limits, Retry
from arrowsync.core.transfer import Transfer, WriteMode
from arrowsync.errors import ConfigError


def test_arguments_that_make_no_difference_to_the_rows_keep_the_identity() -> None:
    one = Transfer.of("sqlite:///a", "postgresql://h/b", table="t")
    other = Transfer.of(
        "sqlite:///a",
        "postgresql://h/b",
        table=["t"],
        workers=3,
        verify="hash",
        limits=Limits(memory="1 GiB"),
    )
    assert one.id == other.id


@pytest.mark.parametrize(
    "arguments",
    [
        *({"table": "u"}, {"mode": "append"}, {"where": "x > 1"}, {"rename": {"a": "b"}}, {"tables": "t"}),
        {"schema_only": True},
    ],
)
def test_arguments_that_change_the_rows_change_the_identity(arguments: dict[str, object]) -> None:
    plain = Transfer.of("s", "t", table="t")
    assert Transfer.of("s", "t", **({"table": "t"} | arguments)).id != plain.id


def test_none_means_the_default_but_for_the_journal() -> None:
    transfer = Transfer.of("s", "t", mode=None, table=None, journal=None)
    assert (transfer.mode, transfer.tables, transfer.journal) == (WriteMode.CREATE, (), None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "merge"},
        {"verify": "yes"},
        {"columns": "a", "exclude": "b"},
        {"workers": 0},
        {"nul": "x"},
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Transfer.of("s", "t", **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        *({"limits": {"memory": "1 GiB"}}, {"limits": "1 GiB"}, {"retry": {"attempts": 2}}),
        *({"workers": "2"}, {"workers": 2.5}, {"workers": True}, {"table": 3}, {"tables": ["a", 3]}),
        *({"query": ""}, {"where": 3}, {"target_table": ["a"]}, {"rename": "a=b"}, {"cast": {"a": 3}}),
        *({"views": "yes"}, {"quarantine": 3}, {"max_bad_rows": 2.5}, {"journal": 3}, {"columns": {"a": 1}}),
    ],
    ids=str,
)
def test_an_argument_of_another_type_is_an_error_that_names_it(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Transfer.of("s", "t", **arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"batch_rows": "x"}, {"batch_rows": 2.5}, {"max_connections": 2.5}, {"batch_seconds": "30"}],
    ids=str,
)
def test_a_limit_of_another_type_is_an_error_that_names_it(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Limits(**arguments)  # type: ignore[arg-type]  # what a user may pass


@pytest.mark.parametrize("arguments", [{"attempts": "x"}, {"attempts": 2.5}, {"first_seconds": "1"}], ids=str)
def test_a_retry_rule_of_another_type_is_an_error_that_names_it(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Retry(**arguments)  # type: ignore[arg-type]  # what a user may pass


@pytest.mark.parametrize("name", ["table", "tables", "columns", "key"])
def test_an_empty_list_of_names_is_an_error_and_does_not_mean_all(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is empty"):
        Transfer.of("s", "t", **{name: []})


@pytest.mark.parametrize("other", ["table", "tables"])
def test_a_query_and_a_table_are_two_sources(other: str) -> None:
    with pytest.raises(ConfigError, match="query"):
        Transfer.of("s", "t", query="select 1 as x", **{other: "t"})


@pytest.mark.parametrize(
    "arguments", [{"memory": "1 MiB"}, {"memory": "-5"}, {"batch_rows": 0}, {"batch_seconds": -1.0}]
)
def test_an_impossible_limit_is_an_error_that_names_it(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Limits(**arguments)  # type: ignore[arg-type]  # what a user may pass


def test_an_impossible_retry_rule_is_an_error() -> None:
    with pytest.raises(ConfigError):
        Retry(attempts=0)


def test_a_transfer_pickles() -> None:
    transfer = Transfer.of("s", "t", table="t", cast={"a": "text"})
    assert pickle.loads(pickle.dumps(transfer)) == transfer


def test_a_wrong_mode_is_told_the_modes_that_are_there() -> None:
    with pytest.raises(ConfigError, match=r"^mode must be create, append or replace, not 'bogus'$"):
        Transfer.of("s", "t", mode="bogus")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"mode": "overwrite"}, "Did you mean replace?"),
        ({"mode": "fail"}, "Did you mean create?"),
        ({"mode": "Apend"}, "Did you mean append?"),
        ({"mode": "merge"}, "There is no mode upsert yet"),
        ({"mode": "upsert"}, "There is no mode upsert yet"),
        ({"mode": "truncate"}, "There is no mode truncate yet"),
        ({"verify": "hsh"}, "Did you mean hash?"),
    ],
    ids=str,
)
def test_a_word_of_other_tools_or_a_slip_is_answered_with_the_one_that_was_meant(
    arguments: dict[str, object], hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Transfer.of("s", "t", **arguments)
    assert caught.value.hint == hint


ISOLATING = Capabilities(isolates_rows=True, journal=True)


def test_what_becomes_of_refused_rows_is_no_part_of_a_transfers_identity() -> None:
    ids = {
        Transfer.of("a", "b", on_bad_rows=asked).settled(ISOLATING).id
        for asked in (None, "quarantine", "stop")
    }
    assert ids == {Transfer(source="a", target="b").id}


@pytest.mark.parametrize(
    ("sink", "asked", "settled"),
    [
        (ISOLATING, None, ("quarantine", "arrowsync")),
        (ISOLATING, "stop", ("stop", "arrowsync")),
        (ANY_DRIVER, None, ("stop", None)),
        (ANY_DRIVER, "stop", ("stop", None)),
    ],
)
def test_what_was_not_asked_for_is_what_the_target_can_do(
    sink: Capabilities, asked: str | None, settled: tuple[str, str | None]
) -> None:
    transfer = Transfer.of("a", "b", on_bad_rows=asked).settled(sink)
    assert (transfer.on_bad_rows, transfer.journal) == settled


@pytest.mark.parametrize(
    ("asked", "word"), [({"on_bad_rows": "quarantine"}, "quarantine"), ({"journal": "x"}, "receipts")]
)
def test_what_the_target_cannot_do_is_refused(asked: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Transfer.of("a", "b", **asked).settled(ANY_DRIVER)
