"""How the public functions show their arguments, and what they answer to a call that does not fit."""

from __future__ import annotations

import inspect
import pickle
import pydoc
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import arrowsync
from arrowsync.core.arguments import CopyArguments, RowArguments, StreamArguments
from arrowsync.errors import ArgumentError, ConfigError

TAKEN = {
    arrowsync.copy: CopyArguments,
    arrowsync.plan: CopyArguments,
    arrowsync.verify: RowArguments,
    arrowsync.stream: StreamArguments,
}
FUNCTIONS = [*TAKEN, arrowsync.inspect, arrowsync.status]
by_name = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)


# -- shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "arguments"), TAKEN.items(), ids=[each.__name__ for each in TAKEN])
def test_a_function_shows_names_types_and_defaults_of_its_arguments(
    function: Callable[..., Any], arguments: type[Any]
) -> None:
    hints = get_type_hints(arguments)
    shown = inspect.signature(function).parameters
    assert list(shown) == [field.name for field in fields(arguments)]
    for field in fields(arguments):
        parameter = shown[field.name]
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        assert (parameter.annotation, parameter.default) == (hints[field.name], default)
        assert (parameter.kind is inspect.Parameter.KEYWORD_ONLY) == (default is not inspect.Parameter.empty)


@by_name
def test_every_argument_has_its_line_in_the_docstring(function: Callable[..., Any]) -> None:
    _, _, described = inspect.getdoc(function).partition("\nArguments:\n")
    lines = described.splitlines()
    assert [line.split()[0] for line in lines] == list(inspect.signature(function).parameters)
    assert all(len(line.split()) > 2 for line in lines)


@by_name
def test_help_fits_a_terminal_of_100_columns(function: Callable[..., Any]) -> None:
    text = pydoc.plain(pydoc.render_doc(function))
    assert [line for line in text.splitlines() if len(line) > 100] == []
    assert f"{function.__name__}(" in text


def test_a_function_says_what_it_returns() -> None:
    returned = [inspect.signature(function).return_annotation for function in FUNCTIONS]
    assert returned[:3] == [arrowsync.Report, arrowsync.Plan, arrowsync.Verification]
    assert returned[4:] == [arrowsync.Tables, arrowsync.Transfers]


def test_tab_in_a_notebook_lists_the_arguments() -> None:
    jedi = pytest.importorskip("jedi")
    typed = "arrowsync.copy('a.db', 'b.db', tab"
    found = {each.name for each in jedi.Interpreter(typed, [{"arrowsync": arrowsync}]).complete()}
    assert {"table=", "tables="} <= found


@pytest.mark.slow
def test_type_checkers_know_the_arguments_and_their_values(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    script = tmp_path / "script.py"
    script.write_text(
        "import arrowsync\n"
        "arrowsync.copy('a', 'b', table=['t'], mode='append', workers=2)\n"
        "arrowsync.copy(source='a', target='b', tabel='t')\n"
        "arrowsync.plan('a', 'b', mode='overwrite')\n"
        "arrowsync.verify('a', 'b', mode='append')\n"
        "arrowsync.stream('a', 't')\n"
        "arrowsync.copy('a', 'b').raise_for_status()\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={tmp_path}"]
    done = subprocess.run([*mypy, str(script)], capture_output=True, text=True, cwd=tmp_path)
    wrong = [
        line.partition(":")[2].partition(":")[0] for line in done.stdout.splitlines() if "error:" in line
    ]
    assert wrong == ["3", "4", "5", "6"], done.stdout


# -- calls that do not fit -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ({"tabel": "x"}, 'table="x"'),
        ({"verfy": "hash"}, 'verify="hash"'),
        ({"if_exists": "replace"}, 'mode="replace"'),
        ({"if_exists": "fail"}, 'mode="create"'),
        ({"if_table_exists": "append"}, 'mode="append"'),
        ({"overwrite": True}, 'mode="replace"'),
        ({"overwrite": False}, 'mode="create"'),
        ({"table_name": "x"}, 'target_table="x"'),
        ({"name": "x"}, 'target_table="x"'),
        ({"schema": "x", "table": "items"}, 'target_table="x.items"'),
        ({"schema": "x"}, 'target_table="x.orders"'),
        ({"filter": "id > 1"}, 'where="id > 1"'),
        ({"threads": 2}, "workers=2"),
        ({"memory": "1 GiB"}, 'limits=Limits(memory="1 GiB")'),
        ({"chunksize": 5}, "limits=Limits(batch_rows=5)"),
        ({"attempts": 3}, "retry=Retry(attempts=3)"),
    ],
    ids=str,
)
def test_an_unknown_argument_is_answered_with_the_one_that_was_meant(
    arguments: dict[str, object], meant: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        arrowsync.copy("a.db", "b.db", **arguments)
    assert caught.value.message == f"copy() has no argument {next(iter(arguments))!r}"
    assert caught.value.hint == f"Did you mean {meant}?"


def test_an_argument_that_is_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(ArgumentError, match=r"It has: place, table, query, columns, exclude, where, limits$"):
        arrowsync.stream("a.db", xyzzy=1)


@pytest.mark.parametrize("name", ["cursor", "lookback", "delete_missing"])
def test_what_is_not_there_yet_is_refused_and_not_ignored(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name} is not there yet"):
        arrowsync.copy("a.db", "b.db", **{name: "x"})


def test_an_argument_of_copy_alone_is_no_argument_of_verify() -> None:
    with pytest.raises(
        ArgumentError, match=r"verify\(\) has no argument 'mode'. copy\(\) and plan\(\) have it"
    ):
        arrowsync.verify("a.db", "b.db", mode="append")


@pytest.mark.parametrize(
    ("call", "places"),
    [
        (lambda: arrowsync.copy("a.db", "b.db", "orders"), "source and target"),
        (lambda: arrowsync.verify("a.db", "b.db", "orders"), "source and target"),
        (lambda: arrowsync.stream("a.db", "orders"), "place"),
        (lambda: arrowsync.inspect("a.db", "orders"), "place"),
    ],
    ids=["copy", "verify", "stream", "inspect"],
)
def test_a_table_given_by_position_is_told_its_name(call: Callable[[], object], places: str) -> None:
    with pytest.raises(ArgumentError, match=f'takes only {places} by position.*Write table="orders"'):
        call()


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"copy\(\): missing a required argument: 'target'"):
        arrowsync.copy("a.db")


def test_a_call_that_does_not_fit_is_a_type_error_and_a_config_error_and_pickles() -> None:
    with pytest.raises(TypeError) as caught:
        arrowsync.copy("a.db", "b.db", tabel="x")
    assert isinstance(caught.value, ConfigError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("uri", ["postgresql://me:secret@host/shop", ["postgresql://me:secret@host/shop"]])
def test_no_answer_repeats_a_password(uri: object) -> None:
    for call in (
        lambda: arrowsync.copy("a.db", "b.db", uri),
        lambda: arrowsync.copy("a.db", "b.db", tabel=uri),
    ):
        with pytest.raises(ArgumentError) as caught:
            call()
        assert "secret" not in str(caught.value)


def test_another_value_as_executor_or_observer_is_answered_with_what_it_must_be() -> None:
    with pytest.raises(ConfigError, match=r"^executor must be a concurrent.futures.Executor, not 3$"):
        arrowsync.copy("a.db", "b.db", executor=3)
    with pytest.raises(ConfigError, match=r"^observer must be a function of an event, not 3$"):
        arrowsync.copy("a.db", "b.db", observer=3)
