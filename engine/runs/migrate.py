"""Brings a store of an earlier release up to this one's schema."""

from pathlib import Path

from sqlalchemy import Connection, text, update

from engine.runs import migrations
from engine.runs.migrations.table import VERSION_TABLE
from engine.runs.tables import SCHEMA_VERSION, schema_versions


def step_name(version: int) -> str:
    """Returns alembic's name of the step that leads to a schema."""
    return f"{version:04d}"


def stamp(connection: Connection, version: int) -> None:
    """Notes for alembic at which schema a store is that was made without it."""
    connection.execute(
        text(
            f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
            f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))
    connection.execute(
        text(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (:name)"),
        {"name": step_name(version)},
    )


def migrate(connection: Connection, version: int) -> None:
    """Takes all steps from a schema to the present one, or none, in the present transaction.

    Args:
        connection: to a store, in a transaction that holds the write lock.
        version: its schema.
    """
    # Imported when needed, since it costs as much as a whole short command.
    from alembic import command
    from alembic.config import Config

    stamp(connection, version)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, step_name(SCHEMA_VERSION))
    connection.execute(update(schema_versions).values(version=SCHEMA_VERSION))
