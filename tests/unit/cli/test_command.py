"""How a command takes its flags and ends, on verbs of the test's own; and the program as a process."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Unpack, get_type_hints

import pytest
import typer

from arrowsync.cli import app as command_line
from arrowsync.cli.command import verb_of
from arrowsync.cli.flags import Source, Target, TransferFlags, api_arguments
from arrowsync.cli.output import Result, usage_error
from arrowsync.core.arguments import CopyArguments
from arrowsync.core.limits import Limits, Retry
from arrowsync.errors import ConfigError, SchemaError, TransferError, VerificationError
from arrowsync.report import Report
from tests.unit.builders import a_report

Run = Callable[..., int]


@pytest.fixture
def given() -> dict[str, object]:
    """What the verb was called with."""
    return {}


@pytest.fixture
def run(given: dict[str, object]) -> Run:
    """Runs a command whose verb ends as told: with a result, or an error to raise."""

    def run(outcome: Report | BaseException, *arguments: str) -> int:
        app = typer.Typer(rich_markup_mode=None)

        @verb_of(app)
        def move(source: Source, target: Target, *, progress: bool, **flags: Unpack[TransferFlags]) -> Result:
            """Move it."""
            given.update(api_arguments(flags), source=source, progress=progress)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        code = app(["from.db", "to.db", *arguments], standalone_mode=False)
        assert isinstance(code, int)
        return code

    return run


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("ARROWSYNC_MEMORY", "ARROWSYNC_WORKERS", "ARROWSYNC_LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    logger = logging.getLogger("arrowsync")
    level, handlers = logger.level, logger.handlers[:]
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


# -- flags ---------------------------------------------------------------------------------------------------


def test_every_argument_of_the_api_has_a_flag_and_no_other_is_offered() -> None:
    flags = set(get_type_hints(TransferFlags)) - {"no_journal"}
    limits = {name for name in Limits.__dataclass_fields__ if name in flags}
    retry = {f"retry_{name}" for name in Retry.__dataclass_fields__}
    assert retry <= flags
    assert limits >= {"memory", "batch_rows", "batch_seconds", "partition_bytes"}
    of_python = {"limits", "retry", "index", "executor", "observer", "progress"}  # no words of a command line
    arguments = set(CopyArguments.__dataclass_fields__) - {"source", "target", *of_python}
    assert flags - limits - retry == arguments


def test_flags_that_are_not_given_leave_the_apis_defaults(run: Run, given: dict[str, object]) -> None:
    run(a_report("t"))
    assert given == {"source": "from.db", "progress": True}


def test_a_journal_and_none_contradict_each_other(
    run: Run, given: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(a_report("t"), "--no-journal", "--journal", "x") == 2
    assert "--no-journal" in capsys.readouterr().err


def test_flags_become_the_apis_arguments(run: Run, given: dict[str, object]) -> None:
    run(
        a_report("t"),
        *("-t", "a", "--table", "b", "--tables", "x*", "--tables", "!xy"),
        *("--columns", 'id, total,"odd,name"', "--rename", "a=b", "--rename", "c=d=e", "--views"),
        *("--key", "id,at"),
        *("--cast", "total=numeric(12,2)", "-m", "append", "--allow-lossy", "--no-journal", "--restart"),
        *("--max-bad-rows", "7", "--quarantine", "bad", "--not-consistent"),
        *("--memory", "1 GiB", "--batch-rows", "100", "--retry-attempts", "2", "--workers", "3"),
    )
    assert given == {
        "source": "from.db",
        "progress": True,
        "table": ["a", "b"],
        "tables": ["x*", "!xy"],
        "columns": ["id", "total", "odd,name"],
        "key": ["id", "at"],
        "rename": {"a": "b", "c": "d=e"},
        "views": True,
        "cast": {"total": "numeric(12,2)"},
        "mode": "append",
        "allow_lossy": True,
        "journal": None,
        "restart": True,
        "max_bad_rows": 7,
        "quarantine": "bad",
        "not_consistent": True,
        "limits": Limits(memory="1 GiB", batch_rows=100),
        "retry": Retry(attempts=2),
        "workers": 3,
    }


def test_the_environment_sets_memory_and_workers_and_a_flag_wins(
    run: Run, given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARROWSYNC_MEMORY", "100 MiB")
    monkeypatch.setenv("ARROWSYNC_WORKERS", "2")
    run(a_report("t"), "--workers", "3")
    assert (given["limits"], given["workers"]) == (Limits(memory="100 MiB"), 3)


@pytest.mark.parametrize("text", ["total", "=numeric", "total="])
def test_a_pair_without_two_sides_is_wrong_usage(
    run: Run, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(a_report("t"), "--cast", text) == 2
    assert "--cast must be column=value, not" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [["--no-progress"], ["--log-level", "info"]])
def test_progress_can_be_turned_off(run: Run, given: dict[str, object], flag: list[str]) -> None:
    run(a_report("t"), *flag)
    assert given["progress"] is False


# -- endings -------------------------------------------------------------------------------------------------


def test_a_result_is_shown_on_stdout(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(a_report("orders")) == 0
    out, err = capsys.readouterr()
    assert out.startswith("complete: 350 rows in 2 s\n")
    assert err == ""


def test_json_is_one_object_and_nothing_else(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report("orders")
    assert run(report, "--json") == 0
    assert json.loads(capsys.readouterr().out) == report.to_dict()


def test_an_error_is_a_line_and_a_hint_without_traceback(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ConfigError("no table 'x'", hint="Near names: y")) == 2
    assert capsys.readouterr() == ("", "error: no table 'x'\nNear names: y\n")


def test_a_long_error_stays_on_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(ConfigError("word " * 100))
    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_before_there_is_a_report_is_json_of_the_same_shape(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(SchemaError("no such type", table="t"), "--json", "-m", "append") == 1
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert set(report) == set(a_report().to_dict())
    assert (report["status"], report["mode"], report["source"]) == ("failed", "append", "from.db")
    assert report["errors"][0]["message"] == "no such type"
    assert err == ""


def failed(*errors: BaseException) -> TransferError:
    collected = a_report("orders", errors=errors)
    error = TransferError("a table failed")
    error.report = collected
    return error


def test_a_failed_transfer_shows_its_report_and_its_errors_once(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(failed(SchemaError("no such type", table="orders"))) == 1
    out, err = capsys.readouterr()
    assert out.startswith("failed: 350 rows")
    assert "no such type" not in out
    assert err == "error: table orders: no such type\n"


def test_a_failed_transfer_is_json_with_its_report(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    error = failed(VerificationError("differs"))
    assert run(error, "--json") == 4
    assert json.loads(capsys.readouterr().out) == error.report.to_dict()


def test_an_interrupt_says_that_the_same_call_goes_on(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyboardInterrupt()) == 130
    assert "the same call goes on" in capsys.readouterr().err


def test_an_interrupt_is_json_too(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyboardInterrupt(), "--json") == 130
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert (error["type"], error["message"]) == ("KeyboardInterrupt", "interrupted")


def test_a_bug_is_one_line_unless_debugging(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(RuntimeError("oh")) == 1
    assert capsys.readouterr().err == "error: RuntimeError: oh\nA bug: --debug shows where\n"
    assert run(RuntimeError("oh"), "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_password_in_a_uri_is_hidden_from_the_json_of_failures(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(rich_markup_mode=None)

    @verb_of(app)
    def move(source: Source, target: Target) -> Result:
        """Move it."""
        raise ConfigError("no")

    app(["postgresql://me:swordfish@h/d", "x.db", "--json"], standalone_mode=False)
    out = capsys.readouterr().out
    assert "swordfish" not in out
    assert json.loads(out)["source"] == "postgresql://me:***@h/d"


# -- logs ----------------------------------------------------------------------------------------------------


def test_logs_are_silent_by_default() -> None:
    script = "import arrowsync, logging; logging.getLogger('arrowsync').error('hush')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_log_level_shows_logs_on_stderr(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(a_report("t"), "--log-level", "info")
    logging.getLogger("arrowsync").info("heard")
    logging.getLogger("arrowsync").debug("unheard")
    err = capsys.readouterr().err
    assert "INFO heard" in err
    assert "unheard" not in err


def test_logs_can_be_json(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARROWSYNC_LOG_FORMAT", "json")
    run(a_report("t"), "--log-level", "INFO")
    try:
        raise ValueError("seen")
    except ValueError:
        logging.getLogger("arrowsync").exception("it %s", "broke")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"], line["logger"]) == ("error", "it broke", "arrowsync")
    assert "ValueError: seen" in line["traceback"]


@pytest.mark.parametrize(("level", "line_format"), [("loud", "text"), ("info", "xml")])
def test_an_unknown_level_or_format_is_wrong_usage(
    run: Run, level: str, line_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARROWSYNC_LOG_FORMAT", line_format)
    assert run(a_report("t"), "--log-level", level) == 2


# -- the whole program ---------------------------------------------------------------------------------------


def arrowsync(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "arrowsync", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_the_version_is_shown() -> None:
    import arrowsync as package

    assert arrowsync("--version").stdout == f"arrowsync {package.__version__}\n"


def test_help_lists_the_commands_and_imports_no_driver() -> None:
    script = (
        "import sys; sys.argv = ['arrowsync', '--help']\n"
        "from arrowsync.cli import main\n"
        "try: main()\n"
        "finally: print({'pyarrow', 'polars', 'rich', 'adbc_driver_manager', 'sqlglot'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for command in ("copy", "plan", "inspect", "demo"):
        assert f"\n  {command} " in done.stdout
    assert done.stdout.endswith("set()\n")


def test_without_a_command_help_is_shown_and_the_code_is_2() -> None:
    done = arrowsync()
    assert done.returncode == 2
    assert "Commands:" in done.stdout


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["--memroy", "1 GiB"], "Did you mean --memory '1 GiB'?"),
        (["--restrat"], "Did you mean --restart?"),
        (["--if-exists", "replace"], "Did you mean --mode replace?"),
        (["--if-exists=append"], "Did you mean --mode append?"),
        (["--overwrite"], "Did you mean --mode replace?"),
        (["--table-name", "x"], "Did you mean --target-table x?"),
        (["-t", "items", "--schema", "x"], "Did you mean --target-table x.items?"),
        (["--batch-size", "5"], "Did you mean --batch-rows 5?"),
        (["--filter", "id>1"], "Did you mean --where 'id>1'?"),
        (["--yes"], "Nothing is asked: --allow-lossy agrees to the losses that the plan lists"),
        (["--dry-run", "-t", "a b"], "Did you mean arrowsync plan from.db to.db -t 'a b'?"),
        (["-v"], "Did you mean --log-level info?"),
        (["--xyzzy"], "See arrowsync copy --help"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_flag_that_is_not_there_is_answered_with_the_one_that_was_meant(
    flags: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["copy", "from.db", "to.db", *flags]
    with pytest.raises(typer.TyperException) as caught:
        command_line(words, standalone_mode=False, prog_name="arrowsync")
    assert usage_error(caught.value, words) == 2
    (flag,) = [word.partition("=")[0] for word in flags if word.startswith("-") and word != "-t"]
    assert capsys.readouterr().err == f"error: there is no flag {flag}\n{hint}\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "four"], "--workers must be a whole number, not 'four'"),
        (["--batch-seconds=x"], "--batch-seconds must be a number, not 'x'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_flag_that_takes_a_number_quotes_any_other_value(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["copy", "from.db", "to.db", *flags]
    with pytest.raises(typer.TyperException) as caught:
        command_line(words, standalone_mode=False, prog_name="arrowsync")
    usage_error(caught.value, words)
    assert capsys.readouterr().err.startswith(f"error: {message}\n")


def test_the_command_that_was_meant_shows_no_password() -> None:
    done = arrowsync("copy", "postgresql://me:secret@host/shop", "to.db", "--dry-run")
    assert "secret" not in done.stderr
    assert "arrowsync plan 'postgresql://me:***@host/shop' to.db" in done.stderr


def test_a_pair_with_a_colon_is_answered_with_the_words_that_were_given(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(a_report("t"), "--cast", "total:int") == 2
    shown = capsys.readouterr().err
    assert shown == "error: --cast must be column=value, not 'total:int'\nWrite --cast total=int\n"


def test_wrong_usage_is_json_too() -> None:
    done = arrowsync("copy", "a", "--json")
    assert done.returncode == 2
    (error,) = json.loads(done.stdout)["errors"]
    assert (error["type"], error["message"]) == ("UsageError", "Missing argument 'TARGET'.")
