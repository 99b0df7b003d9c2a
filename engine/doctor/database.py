"""Opens the store to look at it: nothing is made, brought up to date or written."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, select
from sqlalchemy.pool import NullPool

from engine.home import home_path
from engine.runs.store import Run, Store
from engine.runs.tables import SCHEMA_VERSION, schema_versions

CONNECT_SECONDS = 8
BUSY_SECONDS = 5


class NoStoreError(Exception):
    """There is nothing to look at; the message says why."""


def store_url() -> str:
    """Returns the store's address, without making THAW_HOME."""
    return os.environ.get("THAW_DATABASE_URL") or f"sqlite:///{home_path().absolute() / 'thaw.db'}"


def sqlite_file() -> Path | None:
    """Returns the file of an SQLite store, None where the store is none."""
    url = make_url(store_url())
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database)


@contextmanager
def looking() -> Iterator[Connection]:
    """Gives a connection that cannot write.

    Raises:
        NoStoreError: there is no store yet.
        SQLAlchemyError: it cannot be opened.
    """
    engine = _engine()
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def schema(connection: Connection) -> int | None:
    """Returns the schema of the store, None where it has none."""
    if not inspect(connection).has_table(schema_versions.name):
        return None
    version: int | None = connection.scalar(select(schema_versions.c.version))
    return version


def all_runs() -> list[Run]:
    """Returns every run of the store.

    Raises:
        NoStoreError: there is none, or it cannot be read.
    """
    try:
        engine = _engine()
        try:
            with engine.connect() as connection:
                version = schema(connection)
            if version != SCHEMA_VERSION:
                raise NoStoreError("The store is not of this Thaw's schema.")
            return Store.on(engine).all_runs(hidden=True)
        finally:
            engine.dispose()
    except NoStoreError:
        raise
    except Exception as error:
        raise NoStoreError("The store cannot be read; see the check of it.") from error


def _engine() -> Engine:
    url = make_url(store_url())
    file = sqlite_file()
    if file is None:
        seconds = {"connect_timeout": CONNECT_SECONDS}
        args = seconds if url.get_backend_name() == "postgresql" else {}
        return create_engine(url, connect_args=args, poolclass=NullPool)
    if not file.exists():
        raise NoStoreError(f"{file} is not there yet; it is made with the first run.")
    quoted = file.absolute().as_uri()
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            f"{quoted}?mode=ro", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
        ),
        poolclass=NullPool,
    )

    @event.listens_for(engine, "connect")
    def _only_read(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    return engine
