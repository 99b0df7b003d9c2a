"""Writes to the log which commands were given, and how they ended."""

import logging
import sys
from collections.abc import Callable

from engine.cli.commands import COMMANDS
from engine.errors import ThawError

# The dashboard has a log of its own; the others must touch nothing.
UNLOGGED = frozenset({"serve", "doctor", "log"})
LOOKING = frozenset(
    {"models", "recipes", "settings", "searches", "runs", "show", "compare", "inspect"}
)


def run_logged(run: Callable[[], object]) -> None:
    """Runs a command and hands on whatever it raises."""
    command = next((word for word in sys.argv[1:] if word in COMMANDS), "serve")
    if command in UNLOGGED or "--help" in sys.argv:
        run()
        return
    from engine.logs import note, start_logs

    start_logs("command")
    usual = logging.DEBUG if command in LOOKING else logging.INFO
    note("command", "command started", usual, command=command, arguments=sys.argv[1:])
    try:
        run()
    except ThawError as error:
        note("command", "command refused", logging.WARNING, command=command, reason=str(error))
        raise
    except SystemExit as end:
        level = usual if not end.code else logging.WARNING
        note("command", "command ended", level, command=command, exit_code=end.code)
        raise
