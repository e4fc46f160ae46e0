"""Keeps passwords out of what people see, and puts `${VAR}` in place where a driver needs it."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, unquote_plus

from arrowsync.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
# user:password@ of a URI. Whatever stands before the last @: not everybody encodes a password, and libpq
# takes one with # and ? as it is.
_AUTHORITY = re.compile(r"(?<=://)[^:]*:(?P<value>.*)@", re.DOTALL)
# user:password@ of what Go's drivers take without a scheme: user:password@tcp(host:3306)/db.
_LOGIN = re.compile(r"^[^:=/\\\s]+:(?!//)(?P<value>.*)@", re.DOTALL)
_NAME = r"\b\w*(?:password|passwd|pwd|token|secret|(?:private|access|api)_?key)\s*=\s*"
_PARAMETER = re.compile(rf"{_NAME}(?P<value>[^&]*)", re.IGNORECASE)
# libpq's key=value text: in quotes, or up to a space; a backslash keeps the next character's meaning away.
_PAIR = re.compile(
    rf"{_NAME}(?P<value>'(?:[^'\\]|\\.)*+(?:'|\\?$)|(?:[^\s\\]|\\.)*+\\?)", re.IGNORECASE | re.DOTALL
)
SHORTEST_PIECE = 3  # to be hidden, of a password that libpq may have read as a host, a port or a path
HIDDEN = "***"
_URI = re.compile(r"[A-Za-z][\w+.-]*://")


def is_uri(text: str) -> bool:
    """Whether it begins as a URI does: in key=value text a password may hold `://`, too."""
    return _URI.match(text) is not None


def fill_in(text: str) -> str:
    """`text` with each ${VAR} replaced by the environment's value. Raises ConfigError for an unset one."""

    def value(match: re.Match[str]) -> str:
        if (found := os.environ.get(match[1])) is None:
            raise ConfigError(
                f"the environment variable {match[1]!r} is not set", hint=f"It is named in {hide(text)!r}"
            )
        return found

    return _VARIABLE.sub(value, text)


def hide(uri: str) -> str:
    """The URI or DSN without its passwords; `${VAR}` stays, it is no secret."""
    shown, position = "", 0
    for start, end in _stretches(uri):
        shown += uri[position:start] + HIDDEN
        position = end
    return shown + uri[position:]


def holds_password(uri: str) -> bool:
    """Whether a password stands in the URI or DSN itself; `${VAR}` is none."""
    return bool(_places(uri))


def _places(uri: str) -> list[tuple[int, int]]:
    """From where to where passwords stand, in order; they may overlap."""
    patterns = (_AUTHORITY, _PARAMETER) if is_uri(uri) else (_LOGIN, _PAIR)
    found = (match for pattern in patterns for match in pattern.finditer(uri))
    return sorted(match.span("value") for match in found if not _VARIABLE.fullmatch(match["value"]))


def _stretches(uri: str) -> list[tuple[int, int]]:
    """The places, those that overlap as one."""
    found: list[tuple[int, int]] = []
    for start, end in _places(uri):
        if found and start <= found[-1][1]:
            start, end = found[-1][0], max(end, found.pop()[1])
        found.append((start, end))
    return found


def secrets_in(uri: str) -> tuple[str, ...]:
    """Every spelling of the passwords that a connection to the filled-in `uri` uses, longest first."""
    given = [uri[start:end] for start, end in (*_places(uri), *_stretches(uri))]
    given.append(os.environ.get("PGPASSWORD", ""))
    pieces = [piece for text in given for piece in re.split("[/?#@:,]", text) if len(piece) >= SHORTEST_PIECE]
    spellings = {
        form
        for text in (*given, *pieces)
        for form in (text, unquote(text), unquote_plus(text), _unquoted(text))
        if form
    }
    return tuple(sorted(spellings, key=len, reverse=True))


def _unquoted(text: str) -> str:
    """What libpq makes of a value in key=value text."""
    return re.sub(r"\\(.)", r"\1", text.removeprefix("'").removesuffix("'"), flags=re.DOTALL)


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with every secret hidden; a driver quotes an unreadable URI whole."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
