"""The first store: runs, their events, and what was asked of them."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Changes nothing: stores of this schema were made before there were steps."""
