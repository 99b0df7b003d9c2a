"""What the store needs of PostgreSQL: connections that notice a loss, and locks for writers.

Locks: on SQLite one process at a time writes to the store. Here a writer takes an advisory lock
that ends with its transaction, so that the same code is right on both: on all of the store, as the
queue does to claim a run, or on one run, beside which others may be written. Rows are read after
the lock was taken (READ COMMITTED), so nothing is decided by what another has changed meanwhile.
"""

import zlib
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text

# "thaw" in ASCII, and the number after it.
STORE_LOCKS, RUN_LOCKS = 0x74686177, 0x74686178
ALL_OF_STORE = text("SELECT pg_advisory_xact_lock(:store, 0)")
ONE_RUN = text("SELECT pg_advisory_xact_lock_shared(:store, 0), pg_advisory_xact_lock(:runs, :run)")
# A server or a network that is gone without a word is noticed within half a minute.
CONNECT_ARGUMENTS = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "thaw",
}


def make_engine(url: str, busy_seconds: int) -> Engine:
    """Returns an engine whose connections are tried before they are used.

    Args:
        url: with a driver.
        busy_seconds: how long a writer waits for others. One that holds a lock and falls silent
            for as long, since its machine was lost or its process halted, is cut off.
    """
    asked = make_url(url).query
    arguments = {key: value for key, value in CONNECT_ARGUMENTS.items() if key not in asked}
    engine = create_engine(
        url, pool_pre_ping=True, isolation_level="READ COMMITTED", connect_args=arguments
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{busy_seconds}s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{busy_seconds}s'")
        connection.commit()

    return engine


def lock(connection: Connection, run_id: str | None) -> None:
    """Waits until nobody else writes to a run, or to any; holds until the transaction ends."""
    if run_id is None:
        connection.execute(ALL_OF_STORE, {"store": STORE_LOCKS})
        return
    # Two runs of the same number wait for each other, which does no harm.
    number = zlib.crc32(run_id.encode("utf-8", "replace")) - 2**31
    connection.execute(ONE_RUN, {"store": STORE_LOCKS, "runs": RUN_LOCKS, "run": number})
