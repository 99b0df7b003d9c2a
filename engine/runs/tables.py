"""The store's tables.

Journal: SQLite keeps its rollback journal here, not a write-ahead log. Several processes write to
the store (each training process, the queue's supervisor, the dashboard, the command line), and the
SQLite releases 3.7.0 to 3.51.2 that most Pythons link can corrupt a write-ahead log when more than
one process writes and checkpoints it. With a rollback journal that fault cannot occur; what it
costs is that a writer holds readers back for the few milliseconds of a commit, and a run commits
at most some tens of times a second. Every write begins with BEGIN IMMEDIATE, so that two writers
wait for each other instead of failing halfway. A reader fetches its rows, at most some thousands
at a time, before it works on them: nobody waits for more than one such fetch, and a writer who
waits keeps new readers out until it has had its turn. What PostgreSQL does instead is written in
`postgres.py`.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)

# A change needs a step in `migrations/versions`, too.
SCHEMA_VERSION = 3


class _Storable(TypeDecorator[str]):
    """Text from anywhere, less what no database can hold: NUL, and halves of characters."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Returns what is stored, or looked for, in place of a text."""
        return None if value is None else _storable(value)


class Words(_Storable):
    """A text of any length."""

    impl = Text
    cache_ok = True


class Name(_Storable):
    """A short text."""

    impl = String
    cache_ok = True


def _storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


metadata = MetaData()

schema_versions = Table(
    "schema_versions",
    metadata,
    Column("version", Integer, primary_key=True),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Name(16), primary_key=True),
    Column("name", Words, nullable=False),
    Column("status", Name(16), nullable=False),
    Column("reason", Words, nullable=False, default=""),
    Column("spec", Words, nullable=False),
    Column("summary", Words, nullable=False, default="{}"),
    Column("group_id", Name(16), nullable=False),
    Column("colour", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("stop_requested", Boolean, nullable=False, default=False),
    Column("last_seq", Integer, nullable=False, default=0),
    Column("slot", Integer),
    Column("host", Words),
    Column("pid", Integer),
    Column("pid_started", Float),
    Column("beat_at", Float),
    Column("note", Words, nullable=False, server_default=""),
    Column("tags", Words, nullable=False, server_default="[]"),
    Column("starred", Boolean, nullable=False, server_default=false()),
    Column("archived", Boolean, nullable=False, server_default=false()),
    Column("deleted_at", Float),
    Column("place", Float),
    Index("runs_by_status", "status", "created_at"),
)

acts = Table(
    "acts",
    metadata,
    Column("run_id", Name(16), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("act", Words, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("run_id", Name(16), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("kind", Name(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("values", Words, nullable=False),
)

# Runs may go; what was decided about them stays, so nothing here hangs on them.
adoptions = Table(
    "adoptions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("time", Float, nullable=False),
    Column("lineage", Words, nullable=False),
    Column("kind", Name(16), nullable=False),
    Column("run_id", Name(16), nullable=False),
    Column("other", Words, nullable=False),
    Column("details", Words, nullable=False, server_default="{}"),
)
