"""The public names are those of `__all__`, whoever looks."""

import ast
import inspect

import pytest

import arrowsync


@pytest.mark.parametrize("name", arrowsync.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(arrowsync, name).__module__.startswith("arrowsync")


def test_dir_shows_the_public_names() -> None:
    assert dir(arrowsync) == sorted(arrowsync.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(inspect.getsource(arrowsync))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    names = [alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(names) == sorted(arrowsync.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(arrowsync, "nonsense")  # noqa: B009  # the attribute access is the test
