"""The command line: `thaw` and its commands."""

import io
import sys

from engine.cli.app import app
from engine.errors import ThawError
from engine.redact import redacted

__all__ = ["main"]


def main() -> None:
    """Runs the command line; an error that a person can mend is one sentence on stderr.

    What `thaw` does without a command is in `serve`; other commands are imported when used.
    """
    import engine.cli.serve  # noqa: F401

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold what no text does.
        sys.stdout.reconfigure(errors="replace")
    try:
        app()
    except ThawError as error:
        if "--json" in sys.argv:
            import json

            print(json.dumps({"error": redacted(str(error))}))
        print(f"thaw: {redacted(str(error))}", file=sys.stderr)
        sys.exit(1)
