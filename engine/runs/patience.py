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
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 3.0

Result = TypeVar("Result")
log = logging.getLogger("thaw")


def is_away(error: BaseException | None) -> bool:
    """Returns whether a call of the store failed in a way that may pass by itself."""
    if isinstance(error, StoreError):
        return is_away(error.__cause__)
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        # Held by another. A full disk or a damaged file does not pass by itself.
        return error.orig.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


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
