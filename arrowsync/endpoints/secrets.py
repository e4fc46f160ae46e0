"""Keeps passwords out of what people see, and puts `${VAR}` in place where a driver needs it."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, unquote_plus

from arrowsync.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
# user:password@ of a URI; password=… of a URI's parameters and of libpq's key=value form.
_AUTHORITY = re.compile(r"(?<=://)([^/?#@:]*):((?:[^/?#]*))@")
_PARAMETER = re.compile(
    r"(\b(?:password|passwd|pwd|sslpassword|token|secret)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&;]*)", re.IGNORECASE
)
HIDDEN = "***"


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
    uri = _AUTHORITY.sub(lambda m: f"{m[1]}:{m[2] if _VARIABLE.fullmatch(m[2]) else HIDDEN}@", uri)
    return _PARAMETER.sub(lambda m: m[1] + (m[2] if _VARIABLE.fullmatch(m[2]) else HIDDEN), uri)


def secrets_in(uri: str) -> tuple[str, ...]:
    """Every spelling of the passwords that a connection to the filled-in `uri` uses, longest first."""
    raw = [m[2] for m in _AUTHORITY.finditer(uri)] + [m[2].strip("'") for m in _PARAMETER.finditer(uri)]
    raw.append(os.environ.get("PGPASSWORD", ""))
    spellings = {form for text in raw for form in (text, unquote(text), unquote_plus(text)) if form}
    return tuple(sorted(spellings, key=len, reverse=True))


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with every secret hidden; a driver quotes an unreadable URI whole."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
