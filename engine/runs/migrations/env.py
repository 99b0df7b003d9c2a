"""What alembic runs to bring a store up to date, on the connection that it is given."""

from alembic import context

from engine.runs.migrations.table import VERSION_TABLE
from engine.runs.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
