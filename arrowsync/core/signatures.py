"""Public functions show their arguments, and answer a call that does not fit with what was meant."""

from __future__ import annotations

import inspect
import json
import reprlib
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from inspect import Parameter, Signature
from typing import Annotated, ParamSpec, TypeVar, get_args, get_origin

from arrowsync.core.arguments import CopyArguments, Mode
from arrowsync.core.limits import Limits, Retry
from arrowsync.core.suggestions import meant_argument
from arrowsync.errors import ArgumentError

P = ParamSpec("P")
A = TypeVar("A")
R = TypeVar("R")

WIDTH = 96  # of a docstring; help() adds 4 to each line, and terminals have 100
# Arguments that are fields of one: memory= is limits=Limits(memory=…).
_PARTS = {
    field: (name, part)
    for name, part in (("limits", Limits), ("retry", Retry))
    for field in part.__dataclass_fields__
}
_NOT_YET = ("cursor", "lookback", "delete_missing")


class _Listed(Signature):
    """Written with a line for each parameter, as help() does by itself from Python 3.13 on."""

    def __str__(self) -> str:
        lines = [f"    {each},\n" for each in self.parameters.values()]
        named = [each.kind is Parameter.KEYWORD_ONLY for each in self.parameters.values()]
        if True in named:
            lines.insert(named.index(True), "    *,\n")
        return f"(\n{''.join(lines)}) -> {inspect.formatannotation(self.return_annotation)}"


def takes(arguments: Callable[P, A]) -> Callable[[Callable[[A], R]], Callable[P, R]]:
    """Makes a function of an arguments object one that takes these arguments themselves.

    Type checkers, `inspect.signature`, `help` and completion all show them.
    """

    def decorate(function: Callable[[A], R]) -> Callable[P, R]:
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            return function(arguments(*args, **kwargs))

        return _explained(function, inspect.signature(arguments, eval_str=True), run)

    return decorate


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with the lines of its Annotated arguments in its docstring."""
    return _explained(function, inspect.signature(function, eval_str=True), function)


def _explained(function: Callable[..., R], annotated: Signature, run: Callable[P, R]) -> Callable[P, R]:
    name = function.__name__
    signature = _Listed(
        [each.replace(annotation=_type(each)) for each in annotated.parameters.values()],
        return_annotation=inspect.signature(function, eval_str=True).return_annotation,
    )

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        _check_call(name, signature, args, kwargs)
        return run(*args, **kwargs)

    call.__signature__ = signature  # type: ignore[attr-defined]  # what inspect, help and Jupyter read
    call.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    call.__doc__ = "\n".join([inspect.getdoc(function) or "", "", "Arguments:", *_lines(annotated)])
    return call


def _type(parameter: Parameter) -> object:
    annotation = parameter.annotation
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _lines(signature: Signature) -> Iterator[str]:
    width = max(map(len, signature.parameters))
    for name, parameter in signature.parameters.items():
        (line,) = parameter.annotation.__metadata__
        if parameter.default not in (None, False, Parameter.empty):
            line += f" [default: {_shown(parameter.default)}]"
        yield textwrap.fill(
            line, WIDTH, initial_indent=f"    {name:{width}}  ", subsequent_indent=" " * (width + 6)
        )


# -- calls that do not fit ---------------------------------------------------------------------------------


def _check_call(
    name: str, signature: Signature, args: tuple[object, ...], given: Mapping[str, object]
) -> None:
    """Raises ArgumentError."""
    positional = [
        each.name for each in signature.parameters.values() if each.kind is not Parameter.KEYWORD_ONLY
    ]
    for word in given:
        if word not in signature.parameters:
            raise ArgumentError(f"{name}() has no argument {word!r}", hint=_hint(word, given, signature))
    if len(args) > len(positional):
        extra = args[len(positional)]
        first = next(word for word in signature.parameters if word not in positional)
        raise ArgumentError(
            f"{name}() takes only {' and '.join(positional)} by position, and the rest by name",
            hint=f"Write {_written(first, extra)}" if isinstance(extra, str | list | tuple) else None,
        )
    try:
        signature.bind(*args, **given)
    except TypeError as error:
        raise ArgumentError(f"{name}(): {error}") from None


def _hint(word: str, given: Mapping[str, object], signature: Signature) -> str:
    known = list(signature.parameters)
    if word in _NOT_YET:
        return f"{word} is not there yet: leave it out; where= selects rows"
    if word == "dry_run":
        return "arrowsync.plan(…) shows what a copy would do, and writes nothing"
    if word in CopyArguments.__dataclass_fields__:
        return "copy() and plan() have it: leave it out here"
    parts = [part for part, (name, _) in _PARTS.items() if name in known]
    table = given.get("table")
    if found := meant_argument(word, given[word], [*known, *parts], modes=get_args(Mode), table=table):
        return f"Did you mean {_written(*found)}?"
    return f"It has: {', '.join(known)}"


def _written(name: str, value: object) -> str:
    """The argument as Python: mode="append", limits=Limits(batch_rows=100)."""
    if name in _PARTS:
        outer, part = _PARTS[name]
        return f"{outer}={part.__name__}({name}={_shown(value)})"
    return f"{name}={_shown(value)}"


def _shown(value: object) -> str:
    """The value as in code; "…" for a frame and the like, and for a URI, which may hold a password."""
    if not isinstance(value, str | int | float | list | tuple | dict) or "://" in str(value):
        return "…"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else reprlib.repr(value)
