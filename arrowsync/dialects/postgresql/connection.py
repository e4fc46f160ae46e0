"""Where a PostgreSQL URI points, how the driver opens it, and what every session sets first."""

from __future__ import annotations

import configparser
import getpass
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from arrowsync.errors import ConfigError

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")  # in key=value text a password may hold ://, too
# A database with an @ is the rest of a password with a /: no name to show.
_URI = re.compile(
    r"(?:postgresql|postgres)(?:\+\w+)?://(?:(?P<user>[^/?#@:]*)(?::(?P<password>[^/?#]*))?@)?"
    r"(?P<hosts>[^/?#]*)(?:/(?P<dbname>[^?#@]*))?(?:\?(?P<parameters>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_LOGIN = re.compile(r"[^/]*//[^/@]*@")
_PAIR = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))\s*")
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?")
_LOCAL = {
    "",
    "127.0.0.1",
    "::1",
    "/tmp",
    "/var/run/postgresql",
    "/run/postgresql",
}  # are the same machine's server
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
}

LOCK_TIMEOUT = "5min"  # a second writer waits for the first one's partition, which takes less

# Role, database and server may set these otherwise, and what we read or write would follow. The settings that
# are missing here choose plans, places, limits of memory or what is logged: no value depends on them.
_SETTINGS = {
    # The text of values: 0.30000000000000004 is 0.3 under extra_float_digits = 0.
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "timezone": "UTC",
    "timezone_abbreviations": "Default",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "array_nulls": "on",
    "xmloption": "content",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    # The text of names, expressions and literals: format_type would write "bytea" with its quotes, which is
    # no type that we know, and pg_get_expr a default whose backslashes another session reads otherwise.
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",  # in a check that we write, `a = null` would become `a is null`
    # Which rows a query sees.
    "gin_fuzzy_search_limit": "0",  # a condition that a GIN index answers would give some of its rows only
    "synchronize_seqscans": "off",  # a scan would begin in the middle of the table
    "zero_damaged_pages": "off",  # rows of a damaged page would be missing without a word
    "ignore_checksum_failure": "off",
    # How transactions and sessions behave.
    "default_transaction_isolation": "read committed",  # claims wait for each other, they do not fail
    "default_transaction_deferrable": "off",
    # Else foreign keys and triggers look at no row; who asks for that in the URI's options gets it.
    "session_replication_role": "origin",
    "track_counts": "on",  # by them each partition counts what the server stored
    "exit_on_error": "off",  # a row that is refused would end the session
    # A limit for interactive work would end a long COPY, or a session that waits for one.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "lock_timeout": LOCK_TIMEOUT,
    "client_connection_check_interval": "1s",  # a killed client's sessions let go of their locks
}
_SOURCE = {"default_transaction_read_only": "on", "row_security": "off"}  # a policy hides rows without a word
_SINK = {"synchronous_commit": "off"}  # rows and receipt are lost together or not at all

# A network that is gone is noticed in two minutes, also in COMMIT, which is under no deadline; TCP's own
# answer takes 15 minutes, or two hours where nothing was being sent.
_NETWORK = {
    "keepalives_idle": "60",
    "keepalives_interval": "15",
    "keepalives_count": "4",
    "tcp_user_timeout": "120000",
}


CONNECT_SECONDS = 10  # libpq would wait for TCP to give up
ANSWER_SECONDS = 10  # more, for the driver's own first query


def opening_seconds(uri: str, environment: Mapping[str, str] = os.environ) -> float | None:
    """How long a connection may take to open; None where the user has set no limit (connect_timeout=0)."""
    given = parameters(uri)
    asked = given.get("connect_timeout") or environment.get("PGCONNECT_TIMEOUT") or str(CONNECT_SECONDS)
    if not asked.isdecimal():
        return None  # as libpq, which takes no limit from a negative one and refuses the rest
    hosts = (given.get("host") or given.get("hostaddr") or "").count(",") + 1
    # The driver opens two connections, one after the other; libpq's limit is for each host.
    return 2 * hosts * int(asked) + ANSWER_SECONDS if int(asked) else None


def driver_uri(uri: str) -> str:
    """The URI as libpq takes it, asking for UTF-8: with a LATIN1 session the driver stores mojibake."""
    given = parameters(uri)
    extra = {name: value for name, value in _NETWORK.items() if name not in given}
    extra["client_encoding"] = "UTF8"
    if "fallback_application_name" not in given:
        extra["fallback_application_name"] = "arrowsync"
    if "connect_timeout" not in given and "PGCONNECT_TIMEOUT" not in os.environ:
        extra["connect_timeout"] = str(CONNECT_SECONDS)
    if not _SCHEME.match(uri):
        return " ".join([uri, *(f"{name}={value}" for name, value in extra.items())])
    uri = re.sub(r"^(\w+)\+\w+://", r"\1://", uri)
    return uri + ("&" if "?" in uri else "?") + "&".join(f"{name}={value}" for name, value in extra.items())


def parameters(uri: str) -> dict[str, str]:
    """libpq's keywords that a URI or key=value text gives. Raises ConfigError."""
    if not _SCHEME.match(uri):
        return _pairs(uri)
    match = _URI.fullmatch(uri)
    hosts = [_HOST.fullmatch(host) for host in match["hosts"].split(",")] if match else [None]
    if match is None or None in hosts or _is_misread(match):
        raise _unreadable(uri)
    given = {
        "user": unquote(match["user"] or ""),
        "host": ",".join(unquote(host[1]).strip("[]") for host in hosts if host),
        "port": ",".join(host[2] or "" for host in hosts if host).strip(","),
        "dbname": unquote(match["dbname"] or ""),
    }
    # libpq takes a later value for the earlier one, and `+` for itself.
    later = dict(parse_qsl((match["parameters"] or "").replace("+", "%2B")))
    return {name: value for name, value in {**given, **later}.items() if value}


def _is_misread(match: re.Match[str]) -> bool:
    """Whether libpq would find user and password elsewhere: they end at the first @ before any /."""
    if match["user"] is None:
        return _LOGIN.match(match[0]) is not None
    return "@" in (match["password"] or "")


def _unreadable(uri: str) -> ConfigError:
    login = uri.partition("://")[2].rpartition("@")[0]
    spelt = [f"{letter} as {quote(letter, safe='')}" for letter in dict.fromkeys(login) if letter in "@/?#"]
    hint = "Write postgresql://user:password@host:5432/database"
    return ConfigError(
        "cannot read the PostgreSQL URI",
        hint=f"{hint}, and in a user or password {', '.join(spelt)}" if spelt else hint,
    )


def _pairs(text: str) -> dict[str, str]:
    found, position = {}, 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None or match.end() == position:
            raise ConfigError(
                "cannot read the PostgreSQL connection text", hint="Write host=… port=… dbname=… user=…"
            )
        value = match[2] if match[2] is not None else match[3]
        found[match[1]] = re.sub(r"\\(.)", r"\1", value)
        position = match.end()
    return found


def identity(uri: str, environment: Mapping[str, str] = os.environ) -> str:
    """postgresql://host:port/database by libpq's rules: URI, service file, PG* variables, defaults."""
    given = parameters(uri)
    service = given.get("service") or environment.get("PGSERVICE")
    found = (_service(service, environment) if service else {}) | given
    for name, variable in _VARIABLES.items():
        found.setdefault(name, environment.get(variable, ""))
    hosts = (found["host"] or found["hostaddr"]).lower().split(",")
    ports = (found["port"] or "5432").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    database = found["dbname"] or found["user"] or getpass.getuser()
    places = ",".join(f"{_host(host)}:{port or 5432}" for host, port in zip(hosts, ports, strict=False))
    return f"postgresql://{places}/{database}"


def _host(host: str) -> str:
    if host.rstrip("/") in _LOCAL:
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _service(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    personal = environment.get("PGSERVICEFILE") or str(Path.home() / ".pg_service.conf")
    files = [
        personal,
        str(Path(environment.get("PGSYSCONFDIR", "/etc/postgresql-common")) / "pg_service.conf"),
    ]
    for path in files:
        services = configparser.RawConfigParser(delimiters="=", comment_prefixes="#", strict=False)
        if services.read(path) and services.has_section(name):
            return dict(services[name])
    return {}


_SESSION = """do $$
declare wanted record;
begin
  if current_setting('server_version_num')::int < 140000 then
    raise 'PostgreSQL % is too old', current_setting('server_version')
      using errcode = 'AS001', hint = 'arrowsync needs 14 or newer';
  end if;
  for wanted in
    select s.name, w.value from (values {values}) as w(name, value)
    join pg_catalog.pg_settings s on pg_catalog.lower(s.name) = w.name and s.setting is distinct from w.value
    where s.name <> 'session_replication_role' or s.source <> 'client'
  loop
    begin
      perform pg_catalog.set_config(wanted.name, wanted.value, false);
    exception when insufficient_privilege then null;  -- what a superuser has chosen for other roles
    end;
  end loop;
  if 'pg_catalog' = any (pg_catalog.current_schemas(false)) then
    perform pg_catalog.set_config('search_path', coalesce(
      (select pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ' order by place)
       from pg_catalog.unnest(pg_catalog.current_schemas(false)) with ordinality as path(name, place)
       where name <> 'pg_catalog'), ''), false);
  end if;
end $$"""


def session(*, read_only: bool, row_security: bool = False) -> str:
    """One statement, for one round trip; settings that an old server does not know are left out.

    Where search_path names pg_catalog behind other schemas, their functions and types would stand in for the
    server's own: unnamed, it comes first.
    """
    settings = _SETTINGS | (_SOURCE if read_only else _SINK)
    if row_security:
        settings |= {"row_security": "on"}
    return _SESSION.format(values=", ".join(f"('{name}', '{value}')" for name, value in settings.items()))
