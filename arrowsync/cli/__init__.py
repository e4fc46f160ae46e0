"""The verbs as commands; nothing the API cannot do. A new verb is one function under @verb."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Unpack

import typer
from typer import Option

import arrowsync
from arrowsync import allocators
from arrowsync.cli import signals, streams
from arrowsync.cli.command import verb_of
from arrowsync.cli.flags import (
    Journal,
    OptionalPlace,
    Place,
    RowFlags,
    Source,
    Table,
    Tables,
    Target,
    TransferFlags,
    api_arguments,
)
from arrowsync.cli.output import Result, output_error, usage_error
from arrowsync.cli.signals import reading
from arrowsync.cli.streams import write

app = typer.Typer(
    name="arrowsync",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
verb = verb_of(app)


# The API is imported inside the verbs: pyarrow alone takes 0.2 s, and --help needs none of it.


@verb
def copy(source: Source, target: Target, *, progress: bool, **flags: Unpack[TransferFlags]) -> Result:
    """Copy tables from SOURCE to TARGET: all of them, or those named."""
    from arrowsync import api
    from arrowsync.core.arguments import CopyArguments

    asked = CopyArguments(source, target, **api_arguments(flags))
    if progress:
        write("planning", sys.stderr)  # a SQLite table's types are those of its values
    planned = reading(lambda: api.planned(asked, sample_types=True))
    return planned.run(progress=progress)


@verb
def plan(source: Source, target: Target, **flags: Unpack[TransferFlags]) -> Result:
    """Show how a copy would be done, and what it would change. Writes nothing."""
    from arrowsync import api

    return reading(lambda: api.plan(source, target, **api_arguments(flags)))


@verb
def verify(source: Source, target: Target, **flags: Unpack[RowFlags]) -> Result:
    """Compare tables with their copies, value by value, and name the rows that differ."""
    from arrowsync import api

    return reading(lambda: api.verify(source, target, **api_arguments(flags)))


@verb
def inspect(uri: Place, table: Table = None, tables: Tables = None) -> Result:
    """Show tables with their columns, keys, row estimates and sizes."""
    from arrowsync import api

    return reading(lambda: api.inspect(uri, table=table, tables=tables))


@verb
def status(
    target: Place,
    journal: Journal = None,
    by_table: Annotated[bool, Option("--by-table", help="Show the tables of each transfer, too.")] = False,
) -> Result:
    """Show the transfers into a database: how far they are, and since when."""
    from arrowsync import api

    return reading(lambda: api.status(target, by_table=by_table, **api_arguments({"journal": journal})))


@verb
def doctor(uri: OptionalPlace = None) -> Result:
    """Show which drivers are used, whose choice they are, and whether one is a slow build."""
    from arrowsync import api

    return reading(lambda: api.doctor(uri))


@verb
def demo(
    *,
    progress: bool,
    keep: Annotated[Path | None, Option(metavar="DIR", help="Keep both databases in this folder.")] = None,
) -> Result:
    """Copy 336,776 real flights from SQLite to PostgreSQL, and prove it. Needs arrowsync[demo]."""
    from arrowsync.demo import demo

    return demo(lambda line: write(line, sys.stderr), keep=keep, progress=progress)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"arrowsync {arrowsync.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[
        bool, Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
) -> None:
    """Moves tables between databases as Arrow RecordBatches."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """The console script: run the command of sys.argv and exit with its code."""
    streams.open_missing()
    signals.watch()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # names may be beyond the locale
    try:
        with allocators.lean():
            code = app(prog_name="arrowsync", standalone_mode=False)
    except typer.TyperException as error:
        code = usage_error(error, sys.argv[1:])
    except OSError as error:  # of --help and --version, which write by themselves
        code = output_error(error)
    streams.drop_unwritten()
    sys.exit(code)
