"""What is said of a command line that does not fit: what is wrong with it, and the flag that was meant."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Any, get_args

from arrowsync.core.arguments import Mode
from arrowsync.core.suggestions import meant_argument

_NUMBERS = {"N": "a whole number", "SECONDS": "a number"}  # by the metavars of our flags


def explain(error: Any, words: Sequence[str]) -> tuple[str, str]:  # Any: click's, which typer hides
    """The message and the hint. `words` are those of the command line."""
    context = getattr(error, "ctx", None)
    see = f"See {context.command_path if context else 'arrowsync'} --help"
    if flag := hasattr(error, "possibilities") and getattr(error, "option_name", None):
        return f"there is no flag {flag}", _meant(flag, words, context) or see
    parameter = getattr(error, "param", None)
    number = _NUMBERS.get(getattr(parameter, "metavar", None) or "")
    if number and (given := _given(parameter, words)):
        return f"{_flag(parameter)} must be {number}, not {given!r}", see
    message: str = error.format_message()
    return message, see


def _meant(flag: str, words: Sequence[str], context: Any) -> str | None:  # Any: click's
    """What to write instead of a flag that is not there."""
    if flag in ("--yes", "-y"):
        return "Nothing is asked: --allow-lossy agrees to the losses that the plan lists"
    if flag == "--dry-run":
        return f"Did you mean {_planning(words)}?"
    parameters = {each.name: each for each in context.command.params}
    found = meant_argument(
        flag.lstrip("-").replace("-", "_"),
        _value_of([flag], words),
        list(parameters),
        modes=get_args(Mode),
        table=_value_of(["-t", "--table"], words),
    )
    if found is None:
        return None
    name, value = found
    meant = _flag(parameters[name])
    if value is not None and not parameters[name].is_flag and "://" not in str(value):
        meant += f" {shlex.quote(str(value))}"
    return f"Did you mean {meant}?"


def _planning(words: Sequence[str]) -> str:
    """The same command as a plan."""
    from arrowsync.endpoints.secrets import hide

    rest = ["plan" if word == "copy" else hide(word) for word in words if word != "--dry-run"]
    return shlex.join(["arrowsync", *rest])


def _value_of(flags: Sequence[str], words: Sequence[str]) -> str | None:
    """What follows a flag: --flag value, or --flag=value."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in flags:
            return following if following and not following.startswith("-") else None
        name, equals, value = word.partition("=")
        if equals and name in flags:
            return value
    return None


def _given(parameter: Any, words: Sequence[str]) -> str | None:  # Any: click's
    return _value_of(parameter.opts, words) or os.environ.get(parameter.envvar or "")


def _flag(parameter: Any) -> str:  # Any: click's
    """The long form of a parameter."""
    return str(parameter.opts[-1])
