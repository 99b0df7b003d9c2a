"""Connections to the store's database."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import (
    ArgumentError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from engine.errors import StoreError
from engine.home import thaw_home
from engine.runs import postgres
from engine.runs.database_url import cleared, is_address, shown, with_driver
from engine.runs.migrate import migrate, stamp
from engine.runs.tables import SCHEMA_VERSION, metadata, schema_versions

BUSY_SECONDS = 30
KINDS = ("sqlite", "postgresql")


def database_url() -> str:
    """Returns THAW_DATABASE_URL, or the SQLite file in THAW_HOME."""
    configured = os.environ.get("THAW_DATABASE_URL")
    return with_driver(configured) if configured else f"sqlite:///{thaw_home() / 'thaw.db'}"


def open_database(url: str) -> Engine:
    """Returns an engine whose tables exist.

    Raises:
        StoreError: the database cannot be opened, or was made by a newer Thaw.
    """
    engine = None
    try:
        engine = _make_engine(with_driver(url))
        version = _prepare(engine)
    except (SQLAlchemyError, ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        if engine is not None:
            engine.dispose()
        raise StoreError(_why_not(url, error)) from error
    if version > SCHEMA_VERSION:
        engine.dispose()
        raise StoreError(
            f"The store at {shown(url)} was made by a newer Thaw (schema {version}; "
            f"this one knows {SCHEMA_VERSION}); update Thaw with: pip install -U thaw-lab."
        )
    return engine


def describe_database(url: str | None = None) -> str:
    """Returns which database holds the runs, its password left out."""
    return shown(url or database_url())


def describe_sqlite() -> str:
    """Returns which SQLite is linked, and why several writers are safe with it."""
    return (
        f"SQLite {sqlite3.sqlite_version}, with a rollback journal and no write-ahead log: safe "
        "with several writers on any version"
    )


@contextmanager
def writing(engine: Engine, run_id: str | None = None) -> Iterator[Connection]:
    """Gives a connection in a transaction that holds a write lock from its beginning.

    Args:
        engine: of the store.
        run_id: the one run that is written. Another run may be written meanwhile where the
            database can do so; without it, nobody else writes to the store.

    Raises:
        StoreError: the database cannot be written, as when its disk is full; nothing was changed.
    """
    try:
        with _writing(engine, run_id) as connection:
            yield connection
    except (OperationalError, InterfaceError) as error:
        url = engine.url.render_as_string(hide_password=False)
        mend = "free some room on its disk, or mend its permissions"
        if engine.dialect.name == "postgresql":
            mend = "see whether it is up and can be reached"
        raise StoreError(
            f"The store of runs at {shown(url)} cannot be written "
            f"({cleared(str(error.orig), url)}); {mend}."
        ) from error


@contextmanager
def _writing(engine: Engine, run_id: str | None = None) -> Iterator[Connection]:
    with engine.connect().execution_options(thaw_write=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            postgres.lock(connection, run_id)
        yield connection


def _make_engine(url: str) -> Engine:
    if not is_address(url):
        raise ArgumentError("it is no address; an @ in a password is written %40, a / %2F, a : %3A")
    # Refused before a driver is looked for: what is kept in others would not be locked.
    if url.partition(":")[0].partition("+")[0] not in KINDS:
        raise ArgumentError("it is neither SQLite nor PostgreSQL")
    if url.startswith("sqlite"):
        engine = create_engine(url)
        _configure_sqlite(engine)
        return engine
    return postgres.make_engine(url, BUSY_SECONDS)


def _prepare(engine: Engine) -> int:
    """Makes the tables or brings them up to date, and returns the schema that was found."""
    with _writing(engine) as connection:
        version = _version(connection)
        if version is None:
            metadata.create_all(connection)
            connection.execute(insert(schema_versions).values(version=SCHEMA_VERSION))
            stamp(connection, SCHEMA_VERSION)
        elif version < SCHEMA_VERSION:
            migrate(connection, version)
        return version or SCHEMA_VERSION


def _version(connection: Connection) -> int | None:
    """Returns the schema of a store, None where there is no store yet."""
    if not inspect(connection).has_table(schema_versions.name):
        return None
    return connection.scalar(select(schema_versions.c.version))


def _why_not(url: str, error: Exception) -> str:
    """Returns why a database cannot be opened and what to do, in one sentence."""
    where = f"The store of runs at {shown(url)} cannot be opened"
    if isinstance(error, ImportError) and url.startswith("postgres"):
        return f"{where} without a driver; install one with: pip install 'thaw-lab[postgres]'."
    reason = cleared(str(getattr(error, "orig", None) or error), url)
    mend = ", or move the damaged file away to start a new store" if "sqlite" in url else ""
    return f"{where} ({reason}); check THAW_DATABASE_URL{mend}."


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
