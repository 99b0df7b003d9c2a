"""Where alembic keeps which step a store is at.

Not under its usual name: Optuna keeps its own there, in the same database.
"""

VERSION_TABLE = "thaw_schema"
