"""Makes commands of functions: their own parameters, the flags of an Unpack[...], those that all share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from arrowsync.cli.flags import SharedFlags
from arrowsync.cli.output import Result, end

Verb = Callable[..., Result]
_SHARED = get_type_hints(SharedFlags, include_extras=True)


class PanelledCommand(TyperCommand):
    """A command whose --help shows its flags in panels, as rich would, without the 0.2 s that rich takes."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # Any: typer keeps click's classes to itself
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                title = getattr(parameter, "rich_help_panel", None) or "Other"
                panels.setdefault(title, []).append(record)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records)


def verb_of(app: typer.Typer) -> Callable[[Verb], Verb]:
    """A decorator that makes a function a command of `app`.

    `progress`, where the function wants it, is no flag: it says whether to show any.
    """

    def verb(function: Verb) -> Verb:
        own = inspect.signature(function, eval_str=True).parameters

        def command(**given: Any) -> int:  # Any: each flag has its own type
            shared = SharedFlags(**{name: given.pop(name) for name in _SHARED})  # type: ignore[typeddict-item]  # all
            if "progress" in own:
                given["progress"] = not (shared["no_progress"] or shared["log_level"])
            return end(lambda: function(**given), given, shared)

        parameters = [*_parameters(own), *_options(_SHARED)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        command.__annotations__ = {}
        app.command(function.__name__, cls=PanelledCommand, help=function.__doc__)(command)
        return function

    return verb


def _parameters(own: Mapping[str, inspect.Parameter]) -> Iterator[inspect.Parameter]:
    for name, parameter in own.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (flags,) = get_args(parameter.annotation)  # of Unpack
            yield from _options(get_type_hints(flags, include_extras=True))
        elif name != "progress":
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _options(flags: Mapping[str, Any]) -> Iterator[inspect.Parameter]:  # Any: annotations
    for name, annotation in flags.items():
        default = False if get_args(annotation)[0] is bool else None
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
