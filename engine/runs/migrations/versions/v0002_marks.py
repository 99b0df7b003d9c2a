"""What a person says of a run: note, tags, star; whether it is put away; its place in the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns, so that every run there is unmarked."""
    columns = (
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.Column("tags", sa.Text, nullable=False, server_default="[]"),
        sa.Column("starred", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("archived", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("deleted_at", sa.Float),
        sa.Column("place", sa.Float),
    )
    for column in columns:
        op.add_column("runs", column)
