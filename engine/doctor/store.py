"""The store of runs: whether it opens, is sound, and cannot be damaged by its own database."""

import sqlite3

from sqlalchemy.exc import SQLAlchemyError

from engine.doctor.database import NoStoreError, looking, schema, sqlite_file, store_url
from engine.doctor.finding import Finding, fault, not_applicable, ok, warning
from engine.redact import redacted
from engine.runs.tables import SCHEMA_VERSION

ASIDE = "Move the file away to start a new store, or put a copy of it back."
# Several processes that write to a write-ahead log can damage the file (sqlite.org/wal.html).
FIRST_WITH_BUG, LAST_WITH_BUG = (3, 7, 0), (3, 51, 2)
LEAST_POSTGRES = 12
# A transaction was cut off, and the file must be written to be read.
HOT = frozenset(
    {"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTINIT"}
)

FAILURES = (SQLAlchemyError, sqlite3.Error, ImportError)


def store() -> Finding:
    """Looks whether the store opens, and is of a schema that this Thaw knows."""
    where = redacted(store_url())
    try:
        with looking() as connection:
            version = schema(connection)
            server = connection.dialect.server_version_info
            kind = connection.dialect.name
    except NoStoreError as none:
        return ok(str(none), store=where)
    except FAILURES as error:
        return _cannot_be_opened(where, error)
    told = ".".join(map(str, server or ()))
    facts = {"store": where, "schema": version, "server": told}
    if kind == "postgresql" and server and int(server[0]) < LEAST_POSTGRES:
        return warning(
            f"PostgreSQL {told} is older than what Thaw is tried with.",
            f"Update it to {LEAST_POSTGRES} or newer.",
            **facts,
        )
    if version is None:
        return ok(f"{where} opens and is empty; its tables come with the first run.", **facts)
    if version > SCHEMA_VERSION:
        return fault(
            f"{where} was made by a newer Thaw (schema {version} to this one's {SCHEMA_VERSION}).",
            "Update Thaw: pip install --upgrade thaw-lab",
            **facts,
        )
    if version < SCHEMA_VERSION:
        return ok(f"{where} is of an earlier Thaw, and is brought up to date when opened.", **facts)
    return ok(f"{where} opens (schema {version}).", **facts)


def integrity() -> Finding:
    """Looks whether an SQLite store is whole."""
    file = sqlite_file()
    if file is None:
        return not_applicable("The store is no SQLite file.")
    try:
        with looking() as connection:
            said = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(3)")]
            broken = list(connection.exec_driver_sql("PRAGMA foreign_key_check"))
    except NoStoreError as none:
        return not_applicable(str(none))
    except FAILURES as error:
        return _cannot_be_opened(str(file), error)
    if said != ["ok"]:
        told = " ".join(said[0].split())[:160]
        return fault(f"{file} is damaged ({told}).", ASIDE, said=said)
    if broken:
        return warning(
            f"{file} has {len(broken):,} events of runs that are not in it.",
            "They do no harm; a copy of the store from before would be whole.",
        )
    return ok(f"{file} is whole ({file.stat().st_size / 2**20:,.1f} MiB).")


def journal() -> Finding:
    """Looks whether SQLite's own fault with write-ahead logs can befall the store."""
    file = sqlite_file()
    if file is None:
        return not_applicable("The store is no SQLite file.")
    linked = sqlite3.sqlite_version
    has_bug = FIRST_WITH_BUG <= sqlite3.sqlite_version_info <= LAST_WITH_BUG
    bug = "can damage a write-ahead log that several processes write" if has_bug else "is sound"
    try:
        with looking() as connection:
            mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
    except NoStoreError:
        mode = "none yet"
    except FAILURES:
        return not_applicable(f"The store cannot be read; SQLite {linked} {bug}.")
    facts = {"sqlite": linked, "mode": mode, "has_wal_bug": has_bug}
    if mode == "wal":
        make = fault if has_bug else warning
        return make(
            f"The store has a write-ahead log, and SQLite {linked} {bug}.",
            "End whatever else opens the file; Thaw puts its rollback journal back when it does.",
            **facts,
        )
    return ok(f"SQLite {linked} {bug}; the store keeps a rollback journal, so it is safe.", **facts)


def _cannot_be_opened(where: str, error: Exception) -> Finding:
    cause = getattr(error, "orig", None) or error
    reason = redacted(" ".join(str(cause).split())[:200])
    if getattr(cause, "sqlite_errorname", "") in HOT:
        return warning(
            f"{where} was being written when a process was killed ({reason}).",
            "Open Thaw or run `thaw runs`: whoever opens it next puts it right.",
        )
    if isinstance(error, ImportError):
        return fault(
            f"The store at {where} needs a library that is not installed ({reason}).",
            "Install a driver for it, for PostgreSQL: pip install 'psycopg[binary]'",
        )
    if sqlite_file() is None:
        return fault(
            f"The store at {where} cannot be reached ({reason}).",
            "Start the database, or set THAW_DATABASE_URL to where it is.",
        )
    return fault(f"The store {where} cannot be read ({reason}).", ASIDE)
