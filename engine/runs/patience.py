"""Patience with a store that is away for a while: its server restarts, or another holds it.

A run goes on meanwhile: what it tells waits in memory and is written when the store is back.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from engine.errors import StoreError

AWAY_SECONDS = 600.0
# How long a run waits for a disk that is full or read-only for a moment.
NO_ROOM_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 3.0

HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
CANNOT_BE_WRITTEN = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
)

Result = TypeVar("Result")
log = logging.getLogger("thaw")


def is_away(error: BaseException | None) -> bool:
    """Returns whether a call of the store failed in a way that may pass by itself."""
    if isinstance(error, StoreError):
        return is_away(error.__cause__)
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _code(error.orig) in (*HELD, *CANNOT_BE_WRITTEN)
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


def cannot_be_written(error: BaseException | None) -> bool:
    """Returns whether a disk is full or read-only, which a person must mend and soon may."""
    cause = error.__cause__ if isinstance(error, StoreError) else error
    orig = getattr(cause, "orig", None)
    return isinstance(orig, sqlite3.Error) and _code(orig) in CANNOT_BE_WRITTEN


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def why_away(error: BaseException) -> str:
    """Returns what the database's driver said, in one line and without what was to be written."""
    cause = error.__cause__ if isinstance(error, StoreError) else error
    return " ".join(str(getattr(cause, "orig", None) or cause).split())


def give_up_after(away_seconds: float) -> bool:
    """Returns whether a store has been away for so long that there is no use in waiting."""
    return away_seconds >= AWAY_SECONDS


def patiently(
    call: Callable[[], Result], gives_up: Callable[[float], bool] = give_up_after
) -> Result:
    """Returns what a call of the store returns; it is made again while the store is away.

    A server that goes away while it answers may have done what it was asked, so the call must
    bear to be made twice.

    Args:
        call: of the store.
        gives_up: whether to, after so many seconds.

    Raises:
        StoreError: the store was away for too long.
    """
    began: float | None = None
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            result = call()
        except (SQLAlchemyError, StoreError) as error:
            if not is_away(error):
                raise
            if began is None:
                began = time.monotonic()
                log.warning("The store is away (%s); it is tried again.", why_away(error))
            away_seconds = time.monotonic() - began
            if cannot_be_written(error) and away_seconds >= NO_ROOM_SECONDS:
                raise
            if gives_up(away_seconds):
                raise StoreError(
                    f"The store of runs could not be reached for {away_seconds:.0f} seconds "
                    f"({why_away(error)}); start its database and try again."
                ) from error
        else:
            if began is not None:
                log.warning("The store is back after %.1f s.", time.monotonic() - began)
            return result
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
