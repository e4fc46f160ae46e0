"""The arguments of the public functions, against the transfer that is made of them."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args, get_type_hints

import pytest

import arrowsync
from arrowsync.core.arguments import (
    Check,
    CopyArguments,
    Mode,
    OnBadRows,
    OnNul,
    RowArguments,
    StreamArguments,
    transfer_arguments,
)
from arrowsync.core.transfer import BadRows, Nul, Transfer, Verify, WriteMode
from arrowsync.errors import ConfigError

OPTIONS = [field.name for field in fields(CopyArguments) if field.name not in ("source", "target")]


def test_what_is_left_out_of_a_call_is_left_out_of_the_transfer() -> None:
    bare = Transfer.of("s", "t")
    assert Transfer.of("s", "t", **transfer_arguments(CopyArguments("a", "b"))) == bare
    assert Transfer.of("s", "t", **transfer_arguments(RowArguments("a", "b"))) == bare
    assert Transfer.of("s", "t", **transfer_arguments(StreamArguments("a"))) == bare


@pytest.mark.parametrize(
    ("words", "meanings"),
    [(Mode, WriteMode), (Check, Verify), (OnBadRows, BadRows), (OnNul, Nul)],
    ids=["mode", "verify", "on_bad_rows", "nul"],
)
def test_the_words_of_a_choice_are_those_that_it_understands(words: object, meanings: type) -> None:
    assert get_args(words) == tuple(meanings)


def test_arguments_of_one_name_have_one_type_and_one_line_in_all_functions() -> None:
    copied, compared, streamed = (
        get_type_hints(arguments, include_extras=True)
        for arguments in (CopyArguments, RowArguments, StreamArguments)
    )
    assert compared.items() <= copied.items()
    own = {"place", "_", "table"}  # stream reads one table
    assert {name: hint for name, hint in streamed.items() if name not in own}.items() <= copied.items()


@pytest.mark.parametrize("name", OPTIONS)
def test_every_argument_refuses_a_value_of_another_type_by_its_name(name: str) -> None:
    source = {"index": arrowsync_frame()}.get(name, "a.db")
    with pytest.raises(ConfigError, match=rf"^{name} must be .*, not <object object"):
        arrowsync.plan(source, "b.db", **{name: object()})


def arrowsync_frame() -> object:
    """The source whose index can be asked for."""
    return pytest.importorskip("pandas").DataFrame({"a": [1]})
