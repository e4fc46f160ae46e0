"""DuckDB with both databases attached and one CREATE TABLE AS: SOURCE TARGET TABLE. Imports DuckDB alone."""

import sys
from pathlib import Path

import duckdb


def main(source: str, target: str, table: str) -> None:
    connection = duckdb.connect()
    for name in ("postgres_scanner", "sqlite_scanner"):
        packages = Path(duckdb.__file__).parent.parent
        extension = next(packages.glob(f"duckdb_extension_{name}/extensions/*/{name}.duckdb_extension"))
        connection.execute(f"load '{extension}'")
    rows = attached(connection, source, "source", table)
    if target.endswith(".parquet"):
        connection.execute(f"copy (from {rows}) to '{target}'")
    else:
        connection.execute(f"create table {attached(connection, target, 'target', table)} as from {rows}")


def attached(connection: duckdb.DuckDBPyConnection, place: str, name: str, table: str) -> str:
    """What the table is called there."""
    if place.endswith(".parquet"):
        return f"'{place}'"
    if place.startswith("postgresql:"):
        connection.execute(f"attach '{place}' as {name} (type postgres)")
    else:
        connection.execute(f"attach '{place.removeprefix('sqlite:///')}' as {name} (type sqlite)")
    return f"{name}.{table}"


if __name__ == "__main__":
    main(*sys.argv[1:])
