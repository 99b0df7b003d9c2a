"""The store's tables.

Journal: SQLite keeps its rollback journal here, not a write-ahead log. Several processes write to
the store (each training process, the queue's supervisor, the dashboard, the command line), and the
SQLite releases 3.7.0 to 3.51.2 that most Pythons link can corrupt a write-ahead log when more than
one process writes and checkpoints it. With a rollback journal that fault cannot occur; what it
costs is that a writer holds readers back for the few milliseconds of a commit, and a run commits
at most some tens of times a second. Every write begins with BEGIN IMMEDIATE, so that two writers
wait for each other instead of failing halfway.
"""

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
    false,
)

# A change needs a step in `migrations/versions`, too.
SCHEMA_VERSION = 2

metadata = MetaData()

schema_versions = Table(
    "schema_versions",
    metadata,
    Column("version", Integer, primary_key=True),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("spec", Text, nullable=False),
    Column("summary", Text, nullable=False, default="{}"),
    Column("group_id", String(16), nullable=False),
    Column("colour", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("stop_requested", Boolean, nullable=False, default=False),
    Column("last_seq", Integer, nullable=False, default=0),
    Column("slot", Integer),
    Column("host", Text),
    Column("pid", Integer),
    Column("pid_started", Float),
    Column("beat_at", Float),
    Column("note", Text, nullable=False, server_default=""),
    Column("tags", Text, nullable=False, server_default="[]"),
    Column("starred", Boolean, nullable=False, server_default=false()),
    Column("archived", Boolean, nullable=False, server_default=false()),
    Column("deleted_at", Float),
    Column("place", Float),
    Index("runs_by_status", "status", "created_at"),
)

acts = Table(
    "acts",
    metadata,
    Column("run_id", String(16), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("act", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("run_id", String(16), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("values", Text, nullable=False),
)
