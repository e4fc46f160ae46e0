"""How a command ends: its result on stdout, errors on stderr, one exit code."""

from __future__ import annotations

import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import typer

from arrowsync.cli.flags import SharedFlags
from arrowsync.cli.signals import LeftBehind
from arrowsync.cli.streams import write, writing_to
from arrowsync.cli.usage import explain
from arrowsync.display.document import visible
from arrowsync.display.logs import log_to_stderr
from arrowsync.errors import ArrowsyncError

if TYPE_CHECKING:
    from rich.console import Console

    from arrowsync.display.document import Document
    from arrowsync.report import Failure, Report


class Result(Protocol):
    """What a verb returns: JSON for programs, a document for people."""

    def to_dict(self) -> dict[str, Any]: ...  # Any: JSON
    def document(self) -> Document: ...


def end(run: Callable[[], Result], given: Mapping[str, Any], shared: SharedFlags) -> int:
    """Run a verb, say what came of it, and return the exit code. `given` are the verb's arguments."""
    try:
        if shared["log_level"]:
            log_to_stderr(shared["log_level"], os.environ.get("ARROWSYNC_LOG_FORMAT", "text"))
        result = run()
    except (Exception, KeyboardInterrupt) as error:  # here every error becomes words
        if shared["debug"]:
            write(visible("".join(traceback.format_exception(error))), sys.stderr)
        code = _fail(error, given, as_json=shared["json"])
        if isinstance(error, LeftBehind):
            os._exit(code)  # leaving in the usual way would wait for the thread
        return code
    from arrowsync.report import Report, Verification, exit_code

    shown = _show(result, as_json=shared["json"])
    _tell_command_without_skipped(result, given)
    # What was copied or compared is so, whether or not it could be told. Others do nothing but tell.
    return exit_code(result) if shown or isinstance(result, Report | Verification) else 1


def _tell_command_without_skipped(result: Result, given: Mapping[str, Any]) -> None:  # Any: flags
    """On stderr the same command, ready to run, that leaves out the tables that were skipped."""
    from arrowsync.endpoints.secrets import hide

    skipped = getattr(result, "skipped", ())
    if not skipped or not getattr(result, "tables", ()):
        return
    places = {given.get(name) for name in ("source", "target", "uri")}
    words = [hide(word) if word in places else word for word in sys.argv[1:]]
    options = [option for each in skipped for option in ("--tables", f"!{each.table}")]
    end = words.index("--") if "--" in words else len(words)
    command = shlex.join(["arrowsync", *words[:end], *options, *words[end:]])
    write(visible(f"the same without what was skipped:\n  {command}"), sys.stderr)


def usage_error(error: typer.TyperException, arguments: list[str]) -> int:
    """Say what is wrong with the command line itself."""
    from arrowsync.report import Failure

    message, hint = explain(error, arguments)
    failure = Failure(type="UsageError", message=message, hint=hint)
    if "--json" not in arguments or not _show(_no_report(failure, {}), as_json=True):
        _complain(failure)
    return 2


def output_error(error: OSError, hint: str | None = None) -> int:
    """Say that stdout cannot be written."""
    from arrowsync.report import Failure

    message = f"stdout cannot be written: {error.strerror}"
    _complain(Failure(type="OSError", message=message, hint=hint))
    return 1


def _fail(error: BaseException, given: Mapping[str, Any], *, as_json: bool) -> int:
    from arrowsync.report import Report, exit_code

    found = getattr(error, "report", None)
    report = found if isinstance(found, Report) else _no_report(_failure(error), given)
    if as_json and _show(report, as_json=True):
        return exit_code(error)
    if report is found and not as_json:
        _show(replace(report, errors=()), as_json=False)  # they follow on stderr
    for failure in report.errors:
        _complain(failure)
    return exit_code(error)


def _failure(error: BaseException) -> Failure:
    from arrowsync.report import Failure

    failure = Failure.of(error)
    if isinstance(error, ArrowsyncError | KeyboardInterrupt):
        return failure
    return replace(failure, message=f"{failure.type}: {failure.message}", hint="A bug: --debug shows where")


def _no_report(failure: Failure, given: Mapping[str, Any]) -> Report:
    """The report of what failed before there was one."""
    from arrowsync.endpoints.secrets import hide
    from arrowsync.report import Report

    return Report(
        status="failed",
        transfer="",
        mode=given.get("mode") or "create",
        source=hide(given.get("source") or given.get("uri") or ""),
        target=hide(given.get("target") or ""),
        started_at=datetime.now(UTC),
        errors=(failure,),
    )


def _complain(failure: Failure) -> None:
    """error: what and where, in one line; what to do, in the next."""
    from rich.text import Text

    line = Text("error:", "bold red").append(f" {visible(str(failure))}", "not bold default")
    hint = Text(f"\n{visible(failure.hint)}", "dim") if failure.hint else Text()
    _print(sys.stderr, lambda on: on.print(line + hint, soft_wrap=True))


def _show(result: Result, *, as_json: bool) -> bool:
    """Whether it could be written to stdout; else that is said on stderr, with what matters most of it."""
    try:
        if as_json:
            write(json.dumps(result.to_dict()), sys.stdout)
        else:
            _print_document(result.document())
    except OSError as error:
        output_error(error, hint=f"It was: {result.document().title.text}")
        return False
    return True


def _print_document(document: Document) -> None:
    from arrowsync.display.terminal import show

    _print(sys.stdout, lambda on: show(document, on))


def _print(stream: TextIO, draw: Callable[[Console], None]) -> None:
    from arrowsync.display.terminal import console

    on = console(stream)
    with writing_to(stream):  # rich writes an empty text even while it captures
        with on.capture() as drawn:
            draw(on)
        lines = drawn.get().splitlines()
        write("\n".join(lines if on.is_terminal else map(str.rstrip, lines)), stream)
