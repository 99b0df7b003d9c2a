"""Connections to the store's database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from engine.errors import StoreError
from engine.home import thaw_home
from engine.redact import redacted
from engine.runs.migrate import migrate, stamp
from engine.runs.tables import SCHEMA_VERSION, metadata, schema_versions

BUSY_SECONDS = 30


def database_url() -> str:
    """Returns THAW_DATABASE_URL, or the SQLite file in THAW_HOME."""
    return os.environ.get("THAW_DATABASE_URL") or f"sqlite:///{thaw_home() / 'thaw.db'}"


def open_database(url: str) -> Engine:
    """Returns an engine whose tables exist.

    Raises:
        StoreError: the database cannot be opened, or was made by a newer Thaw.
    """
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            _configure_sqlite(engine)
        with writing(engine) as connection:
            version = _version(connection)
            if version is None:
                metadata.create_all(connection)
                connection.execute(insert(schema_versions).values(version=SCHEMA_VERSION))
                stamp(connection, SCHEMA_VERSION)
            elif version < SCHEMA_VERSION:
                migrate(connection, version)
    except (SQLAlchemyError, ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        reason = redacted(str(getattr(error, "orig", None) or error))
        raise StoreError(
            f"The store of runs at {redacted(url)} cannot be opened ({reason}); check "
            "THAW_DATABASE_URL, or move the damaged file away to start a new store."
        ) from error
    if version is not None and version > SCHEMA_VERSION:
        raise StoreError(
            f"The store at {redacted(url)} was made by a newer Thaw (schema {version}; "
            f"this one knows {SCHEMA_VERSION}); update Thaw with: pip install -U thaw-lab."
        )
    return engine


def _version(connection: Connection) -> int | None:
    """Returns the schema of a store, None where there is no store yet."""
    if not inspect(connection).has_table(schema_versions.name):
        return None
    return connection.scalar(select(schema_versions.c.version))


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Gives a connection in a transaction that holds the write lock from its beginning."""
    with engine.connect().execution_options(thaw_write=True) as connection, connection.begin():
        yield connection


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("thaw_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
